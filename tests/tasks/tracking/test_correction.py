"""Detections that confirm, move and end tracked objects, and shot cuts, which no object crosses by propagation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.detection.base import Detection
from tasks.masks.instances import Box, Instance, encode_mask, tight_box
from tasks.tracking.base import build_tracker
from tasks.tracking.config import TrackerConfig
from tasks.tracking.corrected import CorrectedTracking
from tasks.tracking.correction import MISSES, Confirmations, fitted_mask, groups_within_reach, is_repeated, match_tracked
from tasks.tracking.cuts import is_cut
from tasks.tracking.discovery import Tracking, track
from tasks.tracking.prepared_frame import prepare_frame
from tasks.tracking.tubes import Tubes
from tasks.video.reader import Frames, Source, open_video

WIDTH, HEIGHT = 192, 112


def instance(x1: int, y1: int, x2: int, y2: int) -> Instance:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[y1:y2, x1:x2] = True
    encoded = encode_mask(mask)
    assert encoded is not None
    return encoded


def detection(box: Box, category: str = "dog", score: float = 0.8) -> Detection:
    return Detection(box, category, score)


def test_detections_match_the_closest_object_of_their_category() -> None:
    objects = {1: detection((0, 0, 1, 1)), 2: detection((0, 0, 1, 1)), 3: detection((0, 0, 1, 1), "cat")}
    here = {1: instance(0, 0, 40, 40), 2: instance(50, 0, 90, 40), 3: instance(100, 0, 140, 40)}
    moved = [
        detection((60, 0, 100, 40)),
        detection((8, 0, 48, 40)),
        detection((104, 0, 144, 40), "dog"),
        detection((0, 60, 9, 99)),
    ]
    assert match_tracked(moved, here, objects) == {0: 2, 1: 1, 2: 3}
    assert match_tracked([detection((120, 0, 160, 40), "dog")], here, objects) == {}, "half of another category is another"
    assert match_tracked([detection((0, 0, 120, 110))], {1: here[1]}, objects) == {0: 1}, "a fragment grows"


def test_a_part_of_an_object_is_no_object_but_a_person_before_another_is() -> None:
    objects, here = {1: detection((0, 0, 1, 1))}, {1: instance(0, 0, 80, 80)}
    assert is_repeated(detection((10, 10, 40, 40)), here, objects)
    assert not is_repeated(detection((70, 70, 100, 100)), here, objects)
    persons = {1: detection((0, 0, 1, 1), "person")}
    assert not is_repeated(detection((10, 10, 40, 40), "person"), here, persons)


def test_a_segmentation_that_leaves_its_box_empty_becomes_an_ellipse() -> None:
    full = np.zeros((HEIGHT, WIDTH), np.bool_)
    full[20:60, 30:90] = True
    assert fitted_mask(full, (30, 20, 90, 60)) is full
    for poor in (np.zeros_like(full), full & (np.arange(WIDTH) < 40)):
        ellipse = fitted_mask(poor, (30, 20, 90, 60))
        assert tight_box(ellipse) == (30, 20, 90, 60)
        assert ellipse.sum() == pytest.approx(np.pi / 4 * 40 * 60, rel=0.03)


def test_objects_without_detections_are_given_up_and_weak_ones_dropped() -> None:
    counts = Confirmations()
    assert counts.add([1, 2], [1, 2]) == []
    for _ in range(MISSES - 1):
        assert counts.add([1, 2], [1]) == []
    assert counts.add([1, 2], [1]) == [2]
    weak, strong = detection((0, 0, 9, 9), score=0.4), detection((0, 0, 9, 9), score=0.6)
    assert counts.doubtful({1: weak, 2: weak, 3: weak}) == [2], "one was confirmed, and of the third nothing is known"
    assert counts.doubtful({2: strong}) == []


def test_late_objects_are_followed_back_in_groups() -> None:
    assert list(groups_within_reach([15, 30, 90, 120, 300], 30)) == [[300], [120, 90], [30, 15]]
    assert list(groups_within_reach([], 30)) == []


def test_removed_objects_leave_no_instance() -> None:
    tubes = Tubes((HEIGHT, WIDTH))
    first, second = (tubes.new_object(detection((0, 0, 9, 9)), frame) for frame in (0, 1))
    tubes.add(0, {first: instance(0, 0, 9, 9)})
    tubes.add(1, {first: instance(0, 0, 9, 9), second: instance(50, 0, 60, 9)})
    tubes.remove([first])
    assert list(tubes.objects) == list(tubes.discovered_at) == [second]
    assert {frame: list(here) for frame, here in tubes.frames.items()} == {1: [second]}
    assert tubes.new_object(detection((0, 0, 9, 9)), 2) == 3


def scene(seed: int, tint: tuple[int, int, int], patch: tuple[int, int]) -> Frames:
    import cv2

    coarse = np.random.default_rng(seed).normal(0, 20, (HEIGHT // 6 + 1, WIDTH // 6 + 1, 1)).astype(np.float32)
    noise = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)[..., None]
    picture = np.clip(np.array(tint, np.float32) + noise, 0, 255).astype(np.uint8)
    x, y = patch
    picture[y : y + 40, x : x + 30] = (210, 50, 40)
    return picture


def test_a_cut_is_a_change_of_colours_and_a_pan_is_not() -> None:
    first, other = prepare_frame(scene(1, (90, 120, 90), (40, 40))), prepare_frame(scene(2, (40, 60, 160), (40, 40)))
    panned = prepare_frame(np.roll(scene(1, (90, 120, 90), (40, 40)), 12, axis=1))
    assert is_cut(first, other)
    assert not is_cut(first, panned)


@pytest.mark.parametrize("kind", [Tracking, CorrectedTracking])
def test_no_object_crosses_a_cut_by_propagation(kind: type[Tracking], tmp_path: Path, clip_factory: Any) -> None:
    shots = [scene(1, (90, 120, 90), (20 + 2 * i, 40)) for i in range(10)]
    shots += [scene(2, (40, 60, 160), (40 + 2 * i, 40)) for i in range(10)]
    clip_factory(tmp_path / "cut.mp4", shots, fps=10)
    video = open_video(Source("cut.mp4", tmp_path / "cut.mp4"))
    detections = {0: [detection((20, 40, 50, 80))], 15: [detection((50, 40, 80, 80), "bird")]}
    tubes, _ = track(video, build_tracker(TrackerConfig()), detections, TrackerConfig(), tracking=kind)
    assert {1} <= tubes.frames[8].keys()
    assert not {1} & tubes.frames.get(11, {}).keys()
    assert {2} <= tubes.frames[17].keys()
    assert not {2} & tubes.frames[8].keys(), "nor does a later object cross it on the way back"


def test_a_drifted_object_is_moved_to_its_detection(tmp_path: Path, clip_factory: Any) -> None:
    frames = [scene(1, (90, 120, 90), (20 + 3 * i, 40)) for i in range(20)]
    clip_factory(tmp_path / "moves.mp4", frames, fps=10)
    video = open_video(Source("moves.mp4", tmp_path / "moves.mp4"))
    truth = {index: (20.0 + 3 * index, 40.0, 50.0 + 3 * index, 80.0) for index in range(20)}
    wrong = {0: [detection((30, 30, 90, 90))], 5: [detection(truth[5])], 10: [detection(truth[10])], 15: [detection(truth[15])]}
    tubes, _ = track(video, build_tracker(TrackerConfig()), wrong, TrackerConfig(), tracking=CorrectedTracking)
    assert list(tubes.objects) == [1]
    for index in (10, 15, 19):
        box, true = tubes.frames[index][1].box, truth[index]
        assert np.abs(np.array(box) - np.array(true)).max() < 10, index
