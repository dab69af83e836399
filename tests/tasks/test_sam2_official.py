"""The SAM2.1 tracker against the plain official predictor, on a drawn clip, with random weights."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tasks.trackers.sam2_official import BOXES_AT_ONCE, LazyImages, Sam2Session, Sam2Tracker

from tasks.detect import Detection
from tasks.masks import Box, Mask, mask_iou
from tasks.track import TrackConfig, build_tracker, track
from tasks.trackers import sam2_model
from tasks.video import Frames, Source, Video, open_video
from tasks.weights import WeightsError, find_weights

pytestmark = pytest.mark.heavy

HEIGHT, WIDTH, FRAMES, SIDE = 240, 320, 22, 128
FIGURES = ((40, 60, 3, 1), (200, 90, -3, 2), (120, 150, 2, -3))
COLOURS = ((230, 40, 40), (40, 220, 60), (50, 60, 240))
BOXES: tuple[Box, ...] = ((20, 35, 60, 85), (180, 65, 220, 115), (100, 125, 140, 175))
TINY = TrackConfig(tracker="sam2", model="tiny", image_size_px=SIDE, max_iou=1.0, max_overlap=1.0)


def drawn(index: int) -> Frames:
    background = np.random.default_rng(0).integers(40, 160, (15, 20, 3))
    picture = np.kron(background, np.ones((16, 16, 1))).astype(np.uint8)
    for (x, y, dx, dy), colour in zip(FIGURES, COLOURS, strict=True):
        left, top = x + dx * index, y + dy * index
        picture[max(top - 25, 0) : top + 25, max(left - 20, 0) : left + 20] = colour
    return picture


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import av

    path = tmp_path_factory.mktemp("clip") / "figures.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=15)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index in range(FRAMES):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(drawn(index), format="rgb24")))
        file.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def tracker() -> Iterator[Sam2Tracker]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    tracker = build_tracker(TINY)
    assert isinstance(tracker, Sam2Tracker)
    yield tracker
    torch.set_num_threads(threads)


@pytest.fixture
def video(clip: Path) -> Video:
    return open_video(Source("figures.mp4", clip))


@pytest.fixture
def session(tracker: Sam2Tracker, video: Video) -> Sam2Session:
    return tracker.open(video)


def boxed(box: Box) -> Mask:
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.bool_)
    x1, y1, x2, y2 = map(int, box)
    mask[y1:y2, x1:x2] = True
    return mask


def official_images(path: Path) -> Any:
    import decord
    from sam2.utils.misc import load_video_frames

    try:
        return load_video_frames(str(path), SIDE, offload_video_to_cpu=True, compute_device="cpu")[0]
    finally:
        decord.bridge.set_bridge("native")  # the loader switches it for the whole process


def official_state(tracker: Sam2Tracker, path: Path) -> Any:
    import decord

    try:
        return tracker._predictor.init_state(str(path))
    finally:
        decord.bridge.set_bridge("native")


def official_masks(tracker: Sam2Tracker, path: Path, start: int, mask: Mask, reverse: bool = False) -> dict[int, Mask]:
    """Frame index -> mask of one object, tracked by the plain predictor, alone and over the rest of the video at once."""
    state = official_state(tracker, path)
    tracker._predictor.add_new_mask(state, start, 1, mask)
    steps = tracker._predictor.propagate_in_video(state, start_frame_idx=start, reverse=reverse)
    return {index: (logits[0, 0] > 0).numpy() for index, _, logits in steps}


def test_frames_are_those_of_the_official_loader(clip: Path) -> None:
    assert_same_frames(clip)


def test_frames_of_a_real_clip_are_those_of_the_official_loader() -> None:
    if "STVG_SHARED" not in os.environ:
        pytest.skip("set STVG_SHARED to the folder that holds data/videos/bedroom.mp4")
    assert_same_frames(Path(os.environ["STVG_SHARED"]) / "data" / "videos" / "bedroom.mp4")


def assert_same_frames(path: Path) -> None:
    expected = official_images(path)
    images = LazyImages(open_video(Source("clip", path), (SIDE, SIDE)))
    last = len(expected) - 1
    assert len(images) == last + 1
    for index in [*range(20), last, *range(last - 1, last - 19, -1), 3, last // 2, 2]:
        assert (images[index] == expected[index]).all()


def test_the_state_has_the_shape_of_the_official_one(tracker: Sam2Tracker, session: Sam2Session, clip: Path) -> None:
    official = official_state(tracker, clip)
    ours = session._state
    assert ours.keys() == official.keys()
    assert {k: type(v) for k, v in ours.items() if k != "images"} == {k: type(v) for k, v in official.items() if k != "images"}
    same = ("num_frames", "video_height", "video_width", "device", "storage_device")
    assert [ours[key] for key in same] == [official[key] for key in same]


def test_each_object_is_tracked_as_by_the_plain_predictor_alone(
    tracker: Sam2Tracker, session: Sam2Session, clip: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    late, last = 6, FRAMES - 1
    session.add(0, {1: boxed(BOXES[0])})
    steps = list(session.forward(0, late))
    session.add(late, {2: boxed(BOXES[1]), 7: boxed(BOXES[2])})
    steps += list(session.forward(late, 12))
    steps += list(session.forward(12, last))
    assert capfd.readouterr().err == ""

    assert [index for index, _ in steps] == list(range(1, FRAMES))
    for object_id, start, box in ((1, 0, BOXES[0]), (2, late, BOXES[1]), (7, late, BOXES[2])):
        expected = official_masks(tracker, clip, start, boxed(box))
        found = {index: masks[object_id] for index, masks in steps if object_id in masks}
        assert 0.02 < np.mean([mask.mean() for mask in found.values()]) < 0.95
        assert sorted(found) == [index for index, mask in expected.items() if index > start and mask.any()]
        assert all(np.array_equal(mask, expected[index]) for index, mask in found.items())
    kept = [len(outputs["non_cond_frame_outputs"]) for outputs in session._state["output_dict_per_obj"].values()]
    assert max(kept) <= 16 < last


def test_backward_goes_from_the_frame_before_discovery_to_the_first(
    tracker: Sam2Tracker, session: Sam2Session, clip: Path
) -> None:
    session.add(0, {1: boxed(BOXES[0])})
    list(session.forward(0, 2))
    steps = list(session.backward({9: {2: boxed(BOXES[1])}}))
    expected = official_masks(tracker, clip, 9, boxed(BOXES[1]), reverse=True)
    assert [index for index, _ in steps] == list(range(8, -1, -1))
    assert all(masks.keys() <= {2} for _, masks in steps)
    assert any(masks for _, masks in steps)
    for index, masks in steps:
        assert np.array_equal(masks.get(2, np.zeros((HEIGHT, WIDTH), dtype=np.bool_)), expected[index])
    assert [index for index, _ in session.forward(2, 3)] == [3]


def test_backward_at_the_start_of_the_video(session: Sam2Session) -> None:
    assert [index for index, _ in session.backward({1: {1: boxed(BOXES[0])}})] == [0]
    assert list(session.backward({0: {1: boxed(BOXES[0])}})) == []


def test_forward_of_no_frames(session: Sam2Session) -> None:
    session.add(FRAMES - 1, {1: boxed(BOXES[0])})
    assert list(session.forward(FRAMES - 1, FRAMES - 1)) == []


def test_boxes_become_masks_of_the_size_of_the_video(session: Sam2Session) -> None:
    assert session.segment(0, []) == []
    one, other = session.segment(0, BOXES[:2])
    assert one.shape == (HEIGHT, WIDTH)
    assert one.dtype == np.bool_
    assert mask_iou(one, other) < 0.9
    many = session.segment(0, [BOXES[1]] * BOXES_AT_ONCE + [BOXES[0]])
    assert len(many) == BOXES_AT_ONCE + 1
    assert mask_iou(many[-1], one) > 0.999


def test_scripted_detections_become_lasting_objects(tracker: Sam2Tracker, video: Video) -> None:
    seen = [Detection(box, "person", 0.9) for box in BOXES]
    tubes = track(video, tracker, {0: seen[:2], 6: [], 12: seen[2:]}, TINY)
    assert sorted(tubes.objects) == [1, 2, 3]
    assert tubes.found_at == {1: 0, 2: 0, 3: 12}
    assert all(any(3 in tubes.frames[i] for i in frames) for frames in (range(12), range(13, FRAMES)))


def test_a_checkpoint_gives_the_masks_it_was_saved_with(
    session: Sam2Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    with monkeypatch.context() as patch:
        patch.setattr(sam2_model, "RANDOM_SEED", sam2_model.RANDOM_SEED + 1)
        changed = Sam2Tracker(TINY)
    torch.save({"model": changed._predictor.state_dict()}, tmp_path / "sam2.1_tiny.pt")
    weights = find_weights("sam2.1_tiny.pt", tmp_path)
    loaded = Sam2Tracker(TrackConfig(model="tiny", image_size_px=SIDE, weights=weights))

    expected = changed.open(session._video).segment(0, BOXES)
    found = loaded.open(session._video).segment(0, BOXES)
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(found, session.segment(0, BOXES), strict=True))
    with pytest.raises(WeightsError, match=r"sam2.1_tiny.pt is not a SAM2.1 small checkpoint"):
        Sam2Tracker(TrackConfig(model="small", image_size_px=SIDE, weights=weights))


def test_what_cannot_be_built_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "notes.pt").write_text("not a checkpoint")
    weights = find_weights("notes.pt", tmp_path)
    with pytest.raises(WeightsError, match=r"notes.pt is not a SAM2.1 tiny checkpoint"):
        Sam2Tracker(TrackConfig(model="tiny", image_size_px=SIDE, weights=weights))
    weights.path.unlink()
    with pytest.raises(WeightsError, match=r"no weight file .*notes.pt"):
        Sam2Tracker(TrackConfig(model="tiny", image_size_px=SIDE, weights=weights))
    with pytest.raises(ValueError, match=r"no SAM2.1 model 'huge'"):
        Sam2Tracker(TrackConfig(model="huge"))
    with pytest.raises(ValueError, match="multiple of 32, not 144"):
        Sam2Tracker(TrackConfig(model="tiny", image_size_px=144))
