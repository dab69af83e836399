from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from storage.rle import decode_counts
from tasks.detection.base import DetectorConfig, build_detector, key_frames
from tasks.masks.instances import Box, Instance, Mask, mask_iou, tight_box
from tasks.sample.annotated_clip import AnnotatedClip, make_clip
from tasks.sample.scene import SampleConfig
from tasks.tracking.base import Session, build_tracker
from tasks.tracking.box_segmentation import untracked_part
from tasks.tracking.config import MemoryConfig, TrackerConfig
from tasks.tracking.discovery import track
from tasks.tracking.regions import clean_mask, enclosing_box
from tasks.tracking.tubes import Tubes
from tasks.video.reader import Frames, Source, Video, open_video

WIDTH, HEIGHT, COUNT = 256, 144, 40
WALL = (100, 144)
"""Columns of a post that stands before everything."""


def texture(seed: int, height: int, width: int, tint: tuple[int, int, int]) -> Frames:
    import cv2

    rng = np.random.default_rng(seed)
    coarse = rng.normal(0, 30, (height // 5 + 2, width // 5 + 2, 1)).astype(np.float32)
    noise = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
    return np.clip(np.array(tint, np.float32) + noise, 0, 255).astype(np.uint8)


def at(index: int) -> tuple[int, int]:
    """Left edge and top of the red patch: it walks right, behind the post, and out on its other side."""
    return 20 + 4 * index, 50


def red_mask(index: int) -> Mask:
    x, y = at(index)
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[y : y + 60, x : x + 30] = True
    mask[:, WALL[0] : WALL[1]] = False
    return mask


def blue_mask(_index: int) -> Mask:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[20:60, 200:224] = True
    return mask


@pytest.fixture(scope="module")
def frames() -> list[Frames]:
    ground, red = texture(1, HEIGHT, WIDTH + COUNT, (110, 120, 110)), texture(2, 60, 30, (190, 60, 50))
    blue, post = texture(3, 40, 24, (50, 60, 190)), texture(4, HEIGHT, WALL[1] - WALL[0], (180, 180, 60))
    made = []
    for index in range(COUNT):
        frame = ground[:, index : index + WIDTH].copy()
        x, y = at(index)
        frame[20:60, 200:224] = blue
        frame[y : y + 60, x : x + 30] = red
        frame[:, WALL[0] : WALL[1]] = post
        made.append(frame)
    return made


@pytest.fixture
def video(frames: list[Frames], tmp_path: Path, clip_factory: Callable[..., Path]) -> Video:
    return open_video(Source("post", clip_factory(tmp_path / "post.mp4", frames)))


def opened(video: Video) -> Session:
    with build_tracker(TrackerConfig(name="flow")).open(video, range(len(video)), len(video), MemoryConfig()) as session:
        return session


def decoded(instances: Iterable[tuple[int, dict[int, Instance]]], scale: int = 1) -> dict[int, dict[int, Mask]]:
    """Masks of frame index and object."""
    size = HEIGHT * scale, WIDTH * scale
    return {index: {i: decode_counts(n.counts, *size) for i, n in here.items()} for index, here in instances}


def box_of(mask: Mask) -> Box:
    box = tight_box(mask)
    assert box is not None
    return box


def test_a_box_is_filled_with_what_moves_in_it(video: Video) -> None:
    loose = (at(0)[0] - 4, at(0)[1] - 4, at(0)[0] + 34, at(0)[1] + 64)
    masks = opened(video).segment(0, [loose, box_of(blue_mask(0))])
    assert mask_iou(masks[0], red_mask(0)) > 0.75
    assert mask_iou(masks[1], blue_mask(0)) > 0.75
    assert all(m.shape == (HEIGHT, WIDTH) and m.dtype == np.bool_ for m in masks)


def test_masks_follow_objects_and_one_that_hides_is_found_again(video: Video) -> None:
    session = opened(video)
    session.add(0, {1: red_mask(0), 2: blue_mask(0)})
    seen = decoded(session.forward(0, COUNT - 1))
    assert list(seen) == list(range(1, COUNT))
    assert np.mean([mask_iou(seen[i][1], red_mask(i)) for i in range(1, 12)]) > 0.8
    assert np.mean([mask_iou(seen[i][2], blue_mask(i)) for i in range(1, 40)]) > 0.8
    hidden = [i for i in range(1, COUNT) if not red_mask(i).any()]
    assert hidden
    assert all(1 not in seen[i] for i in hidden)
    assert np.mean([mask_iou(seen[i][1], red_mask(i)) for i in range(34, 40)]) > 0.6


def test_backward_is_alike(video: Video) -> None:
    last = COUNT - 1
    back = decoded(opened(video).backward({last: {1: red_mask(last)}, 30: {2: blue_mask(30)}}))
    assert sorted(back) == list(range(last))
    assert all(2 not in back[i] for i in range(30, last))
    assert np.mean([mask_iou(back[i][2], blue_mask(i)) for i in range(30)]) > 0.8
    assert np.mean([mask_iou(back[i][1], red_mask(i)) for i in range(34, last)]) > 0.8
    assert np.mean([mask_iou(back[i].get(1, np.zeros_like(red_mask(0))), red_mask(i)) for i in range(10)]) > 0.6


def test_an_empty_mask_is_never_found(video: Video) -> None:
    session = opened(video)
    session.add(0, {1: np.zeros((HEIGHT, WIDTH), np.bool_)})
    assert all(masks == {} for _, masks in session.forward(0, 10))


def test_tracking_can_be_resumed_and_gives_the_same(video: Video) -> None:
    whole, parts = opened(video), opened(video)
    for session in (whole, parts):
        session.add(0, {1: red_mask(0)})
    at_once = dict(whole.forward(0, 16))
    in_two = dict(itertools.chain(parts.forward(0, 7), parts.forward(7, 16)))
    assert at_once == in_two


def test_large_frames_are_tracked_small_and_masks_come_back_large(
    frames: list[Frames], tmp_path: Path, clip_factory: Callable[..., Path]
) -> None:
    import cv2

    large = [cv2.resize(frame, (WIDTH * 4, HEIGHT * 4), interpolation=cv2.INTER_CUBIC) for frame in frames[:8]]
    video = open_video(Source("large", clip_factory(tmp_path / "large.mp4", large)))
    session = opened(video)
    session.add(0, {1: np.kron(red_mask(0), np.ones((4, 4), np.bool_))})
    masks = decoded(session.forward(0, 7), 4)
    assert mask_iou(masks[7][1], np.kron(red_mask(7), np.ones((4, 4), np.bool_))) > 0.75


def test_the_way_forward_asks_for_a_window_of_frames_at_a_time(video: Video, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    frames = Video.frames
    monkeypatch.setattr(Video, "frames", lambda self, indices: (asked.append(len(indices)), frames(self, indices))[1])
    session = opened(video)
    session.add(0, {1: red_mask(0)})
    for _ in session.forward(0, COUNT - 1):
        pass
    assert 0 < max(asked) <= 16


def test_a_region_of_two_is_split_from_the_one_already_known() -> None:
    both, known = np.zeros((100, 100), np.bool_), np.zeros((100, 100), np.bool_)
    both[20:80, 20:80] = True
    known[20:80, 20:48] = True
    assert mask_iou(untracked_part(both, known), both & ~known) > 0.85
    known[20:80, 20:72] = True
    assert np.array_equal(untracked_part(both, known), both)


def test_tidying_moves_nothing() -> None:
    mask = np.zeros((40, 40), np.bool_)
    mask[10:30, 12:25] = True
    again = mask
    for _ in range(20):
        again = clean_mask(again, 5)
    assert mask_iou(again, mask) > 0.95
    assert tight_box(again) == tight_box(mask)


def test_a_box_follows_the_part_in_sight_no_further_than_it_must() -> None:
    box = np.array([10.0, 10.0, 30.0, 60.0])
    assert enclosing_box(box, np.array([12.0, 12.0, 20.0, 50.0])).tolist() == box.tolist()
    assert enclosing_box(box, np.array([25.0, 12.0, 40.0, 50.0])).tolist() == [20.0, 10.0, 40.0, 60.0]


@pytest.fixture(scope="module")
def story() -> AnnotatedClip:
    return make_clip(2, SampleConfig())


@pytest.fixture(scope="module")
def tubes(story: AnnotatedClip, tmp_path_factory: pytest.TempPathFactory) -> Tubes:
    from tasks.sample.encode import write_video

    path = tmp_path_factory.mktemp("story") / "story.mp4"
    write_video(path, story.frames, 10)
    video = open_video(Source("story", path))
    keys = key_frames(len(video), 15)
    found = build_detector(DetectorConfig(name="motion")).detect(video, keys)
    return track(video, build_tracker(TrackerConfig()), dict(zip(keys, found, strict=True)), TrackerConfig())[0]


def test_the_figure_that_a_sample_names_is_one_object_with_its_true_mask(story: AnnotatedClip, tubes: Tubes) -> None:
    from pycocotools import mask as coco

    def iou(object_id: int, frame: int) -> float:
        mine, true = tubes.frames.get(frame, {}).get(object_id), story.truth[story.target][frame]
        if mine is None or true is None:
            return 0.0
        codes = [{"size": [216, 384], "counts": i.counts} for i in (mine, true)]
        return float(coco.iou(codes[:1], codes[1:], [0])[0, 0])

    means = {object_id: float(np.mean([iou(object_id, f) for f in story.span])) for object_id in tubes.objects}
    assert max(means.values()) > 0.6
    assert sorted(means.values())[-2] < 0.2
