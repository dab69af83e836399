"""The SAM2.1 tracker against the official predictors, with random weights of a seed whose masks are neither empty nor full."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from storage.common.config import changed
from storage.rle import decode_counts
from tasks.detection.base import Detection
from tasks.masks.instances import Box, Mask, mask_iou
from tasks.tracking.base import TrackingCost, build_tracker
from tasks.tracking.config import MemoryConfig, TrackerConfig
from tasks.tracking.discovery import track
from tasks.tracking.sam2 import model as sam2_model
from tasks.tracking.sam2.encoding import masks_from_logits
from tasks.tracking.sam2.tracker import Sam2Session, Sam2Tracker
from tasks.video.reader import Frames, Source, Video, open_video
from tasks.weights import WeightsError, find_weights

pytestmark = pytest.mark.heavy

HEIGHT, WIDTH, FRAMES, SIDE = 240, 320, 22, 128
FIGURES = ((40, 60, 3, 1), (200, 90, -3, 2), (120, 150, 2, -3))
COLOURS = ((230, 40, 40), (40, 220, 60), (50, 60, 240))
BOXES: tuple[Box, ...] = ((20, 35, 60, 85), (180, 65, 220, 115), (100, 125, 140, 175))
TINY = TrackerConfig(name="sam2", sam2={"model": "tiny", "image_size_px": SIDE}, max_iou=1.0, max_overlap=1.0, identity=False)


def drawn(index: int) -> Frames:
    background = np.random.default_rng(0).integers(40, 160, (15, 20, 3))
    picture = np.kron(background, np.ones((16, 16, 1))).astype(np.uint8)
    for (x, y, dx, dy), colour in zip(FIGURES, COLOURS, strict=True):
        left, top = x + dx * index, y + dy * index
        picture[max(top - 25, 0) : top + 25, max(left - 20, 0) : left + 20] = colour
    return picture


def encoded(path: Path, frames: Sequence[Frames]) -> Path:
    import av

    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=15)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encoded(tmp_path_factory.mktemp("clip") / "figures.mp4", [drawn(index) for index in range(FRAMES)])


@pytest.fixture(scope="module")
def tracker() -> Sam2Tracker:
    tracker = build_tracker(TINY)
    assert isinstance(tracker, Sam2Tracker)
    return tracker


@pytest.fixture(scope="module")
def official(tracker: Sam2Tracker) -> Any:
    """The package's own video predictor with the same weights."""
    from sam2.build_sam import build_sam2_video_predictor

    side = [f"++model.image_size={SIDE}", "++model.fill_hole_area=0"]
    predictor = build_sam2_video_predictor("configs/sam2.1/sam2.1_hiera_t.yaml", device="cpu", hydra_overrides_extra=side)
    predictor.load_state_dict(tracker._model.state_dict())
    predictor.fill_hole_area = 0  # it needs an extension that is not built, and would only warn
    return predictor


@pytest.fixture
def video(clip: Path) -> Video:
    return open_video(Source("figures.mp4", clip))


@pytest.fixture
def session(tracker: Sam2Tracker, video: Video) -> Iterator[Sam2Session]:
    with tracker.open(video, range(FRAMES), FRAMES, MemoryConfig()) as session:
        yield session


def boxed(box: Box) -> Mask:
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.bool_)
    x1, y1, x2, y2 = map(int, box)
    mask[y1:y2, x1:x2] = True
    return mask


def official_state(official: Any, path: Path) -> Any:
    import decord

    try:
        return official.init_state(str(path))
    finally:
        decord.bridge.set_bridge("native")  # the loader switches it for the whole process


Logits = dict[tuple[int, int], Any]
"""Object and frame -> logits of the video's size."""


def official_logits(official: Any, path: Path, masks: Mapping[int, Mask], start: int, reverse: bool) -> Logits:
    """Logits on each frame but the first."""
    state = official_state(official, path)
    for object_id, mask in masks.items():
        official.add_new_mask(state, start, object_id, mask)
    steps = official.propagate_in_video(state, start_frame_idx=start, reverse=reverse)
    return {(i, index): one[0] for index, ids, every in steps if index != start for i, one in zip(ids, every, strict=True)}


ONE, TWO, THREE = map(boxed, BOXES)
FOUND: dict[int, dict[int, Mask]] = {0: {1: ONE, 2: TWO}, 6: {3: THREE}, 9: {4: TWO}}
"""Frame of discovery -> objects found there: three cohorts, whose memories are of other lengths until the last frames."""


def own_logits(session: Sam2Session, reverse: bool) -> Logits:
    """As `official_logits`, of all objects of `FOUND` in one sweep."""
    import torch

    def steps() -> Iterator[tuple[int, list[int], Any]]:
        if reverse:
            yield from session._backward({start: masks for start, masks in FOUND.items() if start})
            return
        for start, stop in ((0, 6), (6, 9), (9, FRAMES - 1)):
            session.add(start, FOUND[start])
            yield from session._forward(start, stop)

    def enlarged(logits: Any) -> Any:
        return torch.nn.functional.interpolate(logits[None], size=(HEIGHT, WIDTH), mode="bilinear")[0, 0]

    return {(i, index): enlarged(one) for index, ids, every in steps() for i, one in zip(ids, every, strict=True)}


@pytest.mark.parametrize("reverse", [False, True])
def test_logits_are_those_of_the_official_predictor(
    official: Any, session: Sam2Session, clip: Path, reverse: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    ours = own_logits(session, reverse)
    assert capfd.readouterr().err == ""
    expected: Logits = {}
    for start, masks in FOUND.items():
        if start or not reverse:
            expected |= official_logits(official, clip, masks, start, reverse)
    assert ours.keys() == expected.keys()
    covered = np.array([float((logits > 0).float().mean()) for logits in expected.values()])
    assert np.mean((covered > 0.05) & (covered < 0.95)) >= 0.9
    # A difference of 1e-4 must be little beside what the logits of a frame differ by.
    assert np.median([float(logits.std()) for logits in expected.values()]) > 0.01
    for key, logits in expected.items():
        assert float((ours[key] - logits).abs().max()) <= 1e-4, key
        mine, true = (ours[key] > 0).numpy(), (logits > 0).numpy()
        assert mask_iou(mine, true) >= 0.999 or not (mine | true).any(), key


def test_objects_of_a_batch_do_not_change_one_another(tracker: Sam2Tracker, session: Sam2Session, video: Video) -> None:
    together = own_logits(session, reverse=False)
    with tracker.open(video, range(FRAMES), FRAMES, MemoryConfig(objects_at_once=1)) as alone:
        one_by_one = own_logits(alone, reverse=False)
    assert together.keys() == one_by_one.keys()
    assert max(float((together[key] - one_by_one[key]).abs().max()) for key in together) < 1e-4


def test_boxes_become_the_masks_of_the_official_image_predictor(tracker: Sam2Tracker, session: Sam2Session, clip: Path) -> None:
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    predictor = SAM2ImagePredictor(tracker._model)
    # It takes every model for one of 1024 pixels, and is given the frame at the size at which the video is decoded.
    predictor._bb_feat_sizes = [(SIDE // 4,) * 2, (SIDE // 8,) * 2, (SIDE // 16,) * 2]
    predictor.set_image(open_video(Source("figures.mp4", clip), (SIDE, SIDE)).frames([3])[0])
    predictor._orig_hw = [(HEIGHT, WIDTH)]
    expected, _, _ = predictor.predict(box=np.array(BOXES, np.float32), multimask_output=False)
    found = session.segment(3, BOXES)
    assert all(np.array_equal(mask, one[0] > 0) for mask, one in zip(found, expected, strict=True))
    assert mask_iou(found[0], found[1]) < 0.9
    assert all(0.01 < mask.mean() < 0.95 for mask in found)
    assert session.segment(3, []) == []
    many = session.segment(3, [BOXES[1]] * 20 + [BOXES[0]])
    assert len(many) == 21
    assert mask_iou(many[-1], found[0]) > 0.999


def test_frames_are_those_of_the_official_loader(clip: Path, session: Sam2Session) -> None:
    assert_same_frames(clip, session)


def test_frames_of_a_real_clip_are_those_of_the_official_loader(shared: Path, tracker: Sam2Tracker) -> None:
    path = shared / "data" / "videos" / "bedroom.mp4"
    video = open_video(Source("bedroom.mp4", path))
    with tracker.open(video, range(len(video)), 0, MemoryConfig()) as session:
        assert_same_frames(path, session)


def assert_same_frames(path: Path, session: Sam2Session) -> None:
    import decord
    from sam2.utils.misc import load_video_frames

    try:
        expected = load_video_frames(str(path), SIDE, offload_video_to_cpu=True, compute_device="cpu")[0]
    finally:
        decord.bridge.set_bridge("native")
    last = len(expected) - 1
    for index in [*range(20), last, *range(last - 1, last - 19, -1), 3, last // 2, 2]:
        assert (session._image(index) == expected[index]).all()


SEEN = [Detection(box, "person", 0.9) for box in BOXES]
DETECTIONS: dict[int, Sequence[Detection]] = {0: SEEN[:1], 6: SEEN[1:2], 12: SEEN[2:], 18: []}


def test_every_frame_is_encoded_once_both_ways(tracker: Sam2Tracker, video: Video) -> None:
    tubes, work = track(video, tracker, DETECTIONS, TINY)
    assert tubes.discovered_at == {1: 0, 2: 6, 3: 12}
    assert work == TrackingCost(FRAMES, 21 + 15 + 9 + 6 + 12, "held")
    assert all(3 in tubes.frames[index] for index in (0, 11, 13, FRAMES - 1))


@pytest.mark.parametrize(
    ("memory", "passes", "features"),
    [
        (MemoryConfig(features_mb=4, spill_mb=0), FRAMES, "held"),
        (MemoryConfig(features_mb=1, spill_mb=4), FRAMES, "spilled"),
        (MemoryConfig(features_mb=0, spill_mb=0), FRAMES + 13, "encoded_again"),
    ],
)
def test_beyond_the_budget_features_spill_or_are_encoded_again_and_masks_stay(
    tracker: Sam2Tracker, video: Video, memory: MemoryConfig, passes: int, features: str
) -> None:
    expected, _ = track(video, tracker, DETECTIONS, TINY)
    config = TINY.model_copy(update={"memory": memory})
    tubes, work = track(video, tracker, DETECTIONS, config)
    assert {f: list(here) for f, here in tubes.frames.items()} == {f: list(here) for f, here in expected.frames.items()}
    for index, here in expected.frames.items():
        for object_id, instance in here.items():
            masks = (decode_counts(one.counts, HEIGHT, WIDTH) for one in (instance, tubes.frames[index][object_id]))
            assert mask_iou(*masks) >= 0.999, (index, object_id)
    assert (work.encoder_passes, work.features) == (passes, features)
    assert work.encoder_passes <= 2 * FRAMES


def test_a_segment_is_tracked_as_if_it_were_all(tracker: Sam2Tracker, video: Video) -> None:
    tubes, work = track(video, tracker, {4: SEEN[:1], 10: SEEN[1:2]}, TINY, [range(4, 15)])
    assert sorted(tubes.frames) == list(range(4, 15))
    assert work.encoder_passes == 11


def test_what_is_remembered_does_not_grow_with_the_video(session: Sam2Session) -> None:
    session.add(0, FOUND[0])
    for _ in session.forward(0, FRAMES - 1):
        pass
    [cohort] = session._memory._cohorts
    assert len(cohort.memories["non_cond_frame_outputs"]) == 16 < FRAMES - 1


def test_an_object_added_again_starts_anew(tracker: Sam2Tracker, session: Sam2Session) -> None:
    session.add(0, FOUND[0])
    list(session.forward(0, 3))
    session.add(3, {2: THREE})
    assert session._memory.ids == [1, 2]
    assert [cohort.ids for cohort in session._memory._cohorts] == [[1], [2]]
    [(_, _, logits)] = list(session._forward(3, 4))
    with tracker.open(session._video, range(FRAMES), FRAMES, MemoryConfig()) as fresh:
        fresh.add(3, {2: THREE})
        [(_, _, expected)] = list(fresh._forward(3, 4))
    assert float((logits[1] - expected[0]).abs().max()) < 1e-4
    assert float((logits[0] - expected[0]).abs().max()) > 1e-4


def test_overlapping_masks_are_an_option(session: Sam2Session) -> None:
    import torch

    session.add(0, FOUND[0])
    [(_, _, logits)] = list(session._forward(0, 1))
    every = torch.cat([logits, logits.flip(-1)])
    plain = list(masks_from_logits(every, HEIGHT, WIDTH, overlapping=True))
    assert sum(plain).max() > 1
    apart = list(masks_from_logits(every, HEIGHT, WIDTH, overlapping=False))
    large = torch.nn.functional.interpolate(every, size=(HEIGHT, WIDTH), mode="bilinear")
    expected = session._model._apply_non_overlapping_constraints(large)[:, 0] > 0
    assert all(np.array_equal(mask, one.numpy()) for mask, one in zip(apart, expected, strict=True))


def test_bfloat16_stays_near_float32(video: Video, tracker: Sam2Tracker) -> None:
    half = build_tracker(changed(TINY, {"sam2.precision": "bfloat16"}))
    a, b = (track(video, one, {0: SEEN[:2]}, TINY, [range(8)])[0] for one in (tracker, half))
    size = HEIGHT, WIDTH
    ious = [
        mask_iou(decode_counts(n.counts, *size), decode_counts(b.frames[f][i].counts, *size))
        if i in b.frames.get(f, {})
        else 0.0
        for f, here in a.frames.items()
        for i, n in here.items()
    ]
    assert np.mean(ious) > 0.8


def test_a_checkpoint_gives_the_masks_it_was_saved_with(
    session: Sam2Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    with monkeypatch.context() as patch:
        patch.setattr(sam2_model, "RANDOM_SEED", sam2_model.RANDOM_SEED + 1)
        other = Sam2Tracker(TINY)
    torch.save({"model": other._model.state_dict()}, tmp_path / "sam2.1_tiny.pt")
    weights = find_weights("sam2.1_tiny.pt", tmp_path)
    loaded = Sam2Tracker(TINY, weights)

    with (
        other.open(session._video, range(FRAMES), 0, MemoryConfig()) as one,
        loaded.open(session._video, range(FRAMES), 0, MemoryConfig()) as two,
    ):
        expected, found = one.segment(0, BOXES), two.segment(0, BOXES)
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(found, session.segment(0, BOXES), strict=True))
    with pytest.raises(WeightsError, match=r"sam2.1_tiny.pt is not a SAM2.1 small checkpoint"):
        Sam2Tracker(changed(TINY, {"sam2.model": "small"}), weights)


def test_what_cannot_be_built_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "notes.pt").write_text("not a checkpoint")
    weights = find_weights("notes.pt", tmp_path)
    with pytest.raises(WeightsError, match=r"notes.pt is not a SAM2.1 tiny checkpoint"):
        Sam2Tracker(TINY, weights)
    weights.path.unlink()
    with pytest.raises(WeightsError, match=r"no weight file .*notes.pt"):
        Sam2Tracker(TINY, weights)
    with pytest.raises(ValidationError, match=r"sam2\.model\n.*'tiny', 'small', 'base_plus' or 'large'"):
        TrackerConfig(name="sam2", sam2={"model": "huge"})
    with pytest.raises(ValidationError, match="multiple of 32"):
        TrackerConfig(name="sam2", sam2={"image_size_px": 144})


def test_memory_does_not_grow_with_the_length_of_the_video(tracker: Sam2Tracker, tmp_path: Path) -> None:
    """A clip of ten times the length, both ways, without room for features: what the process holds stays as it was."""
    import psutil

    path = encoded(tmp_path / "long.mp4", [drawn(index % FRAMES) for index in range(10 * FRAMES)])
    video, process = open_video(Source("long.mp4", path)), psutil.Process()
    held: list[int] = []
    with tracker.open(video, range(len(video)), len(video), MemoryConfig(features_mb=1, spill_mb=0)) as session:
        session.add(0, {1: ONE})
        for steps in (session.forward(0, len(video) - 1), session.backward({len(video) - 1: {2: TWO}})):
            held += [process.memory_info().rss for _ in steps]
        work = session.work()
    # Four frames fit the budget, and the last is at hand when the way back begins.
    assert work == TrackingCost(2 * len(video) - 5, 2 * (len(video) - 1), "encoded_again")
    settled = max(held[FRAMES : 2 * FRAMES])
    assert max(held[2 * FRAMES :]) - settled < 24 * 2**20
