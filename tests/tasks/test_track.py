from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.detect import DETECTORS, DetectConfig, Detection, key_frames, wanted
from tasks.masks import Box, Mask
from tasks.plugins import load_plugin
from tasks.track import TRACKERS, TrackConfig, is_new, track
from tasks.video import Source, Video, open_video


def test_objects_get_ids_in_order_of_discovery_and_keep_them(square_clip: Path, models: Any) -> None:
    video = open_video(Source("v", square_clip))
    keys = key_frames(len(video), 15)
    tubes = track(video, models, dict(zip(keys, models.detect(video, keys), strict=True)), TrackConfig())
    assert {i: d.category for i, d in tubes.objects.items()} == {1: "person", 2: "dog"}
    assert tubes.found_at == {1: 0, 2: 15}
    assert [sorted(tubes.frames[f]) for f in (0, 14, 15, 39)] == [[1], [1], [1, 2], [1, 2]]


class Still:
    """A tracker whose objects never move; its backward masks are given."""

    def __init__(self, backward: Mask) -> None:
        self.backward_mask = backward
        self.backward_calls: list[int] = []

    def open(self, video: Video) -> Still:
        self.video, self.masks = video, dict[int, Mask]()
        return self

    def segment(self, index: int, boxes: Sequence[Box]) -> list[Mask]:
        return [box_mask(self.video, b) for b in boxes]

    def add(self, index: int, masks: Mapping[int, Mask]) -> None:
        self.masks.update(masks)

    def forward(self, start: int, stop: int) -> Iterator[tuple[int, dict[int, Mask]]]:
        yield from ((index, dict(self.masks)) for index in range(start + 1, stop + 1))

    def backward(self, found: Mapping[int, Mapping[int, Mask]]) -> Iterator[tuple[int, dict[int, Mask]]]:
        self.backward_calls += found
        for start, masks in found.items():
            yield from ((index, dict.fromkeys(masks, self.backward_mask)) for index in range(start - 1, -1, -1))


def box_mask(video: Video, box: Box) -> Mask:
    mask = np.zeros((video.height, video.width), np.bool_)
    mask[int(box[1]) : int(box[3]), int(box[0]) : int(box[2])] = True
    return mask


A, B = Detection((0, 0, 40, 40), "person", 0.9), Detection((80, 60, 120, 100), "person", 0.8)


def test_backward_masks_fill_frames_before_discovery(square_clip: Path) -> None:
    video = open_video(Source("v", square_clip))
    tracker = Still(box_mask(video, B.box))
    tubes = track(video, tracker, {0: [A], 15: [A, B], 30: [B, A]}, TrackConfig())
    assert tracker.backward_calls == [15]
    assert sorted(tubes.frames[0]) == [1, 2]
    assert len(tubes.objects) == 2


def test_an_older_object_keeps_its_masks_where_a_backward_pass_meets_it(square_clip: Path) -> None:
    video = open_video(Source("v", square_clip))
    tubes = track(video, Still(box_mask(video, A.box)), {0: [A], 15: [A, B], 30: []}, TrackConfig())
    assert sorted(tubes.frames[3]) == [1]
    assert tubes.hidden_behind_older == 15


def test_backward_tracking_is_an_option(square_clip: Path) -> None:
    video = open_video(Source("v", square_clip))
    tracker = Still(box_mask(video, B.box))
    tubes = track(video, tracker, {0: [A], 15: [B], 30: []}, TrackConfig(backward=False))
    assert tracker.backward_calls == []
    assert sorted(tubes.frames[0]) == [1]


def test_a_video_may_start_without_objects(square_clip: Path) -> None:
    video = open_video(Source("v", square_clip))
    tubes = track(video, Still(box_mask(video, B.box)), {0: [], 15: [], 30: [B]}, TrackConfig(backward=False))
    assert min(tubes.frames) == 30
    assert max(tubes.frames) == 39
    assert track(video, Still(box_mask(video, B.box)), {0: [], 15: []}, TrackConfig()).frames == {}


def test_new_means_below_both_thresholds_with_every_known_mask() -> None:
    def bar(start: int, stop: int) -> Mask:
        mask = np.zeros((1, 100), np.bool_)
        mask[0, start:stop] = True
        return mask

    config = TrackConfig()
    assert is_new(bar(0, 10), [bar(50, 90)], config)
    assert is_new(bar(0, 20), [bar(9, 29)], config)  # IoU 11/29 < 0.4, overlap 11/20 < 0.6
    assert not is_new(bar(0, 20), [bar(8, 28)], config)  # IoU 12/28 >= 0.4
    assert not is_new(bar(0, 5), [bar(2, 60)], config)  # IoU 3/60 < 0.4, overlap 3/5 >= 0.6


def test_the_target_and_confidence_choose_detections() -> None:
    found = [Detection(A.box, "dog", 0.5), Detection(A.box, "person", 0.3), Detection(A.box, "person", 0.2)]
    assert [d.score for d in wanted(found, DetectConfig(target="person"))] == [0.3]
    assert [d.score for d in wanted(found, DetectConfig(target="non-person"))] == [0.5]
    assert [d.score for d in wanted(found, DetectConfig(confidence=0.0))] == [0.5, 0.3, 0.2]


def test_every_registered_name_loads() -> None:
    for registry, kind in ((DETECTORS, "detector"), (TRACKERS, "tracker")):
        for name in registry:
            assert isinstance(load_plugin(registry, name, kind), type)
