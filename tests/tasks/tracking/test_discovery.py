from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from storage.common.plugins import load_plugin
from tasks.detection.base import DETECTORS, Detection, DetectorConfig, filter_detections, key_frames
from tasks.masks.instances import Box, Instance, Mask, encode_mask
from tasks.tracking.base import TRACKERS, TrackingCost
from tasks.tracking.config import MemoryConfig, TrackerConfig
from tasks.tracking.discovery import CrowdedError, is_new, track
from tasks.tracking.tubes import Tubes
from tasks.video.reader import Source, Video, open_video


def tracked(video: Video, tracker: Any, detections: Mapping[int, Sequence[Detection]], **chosen: Any) -> Tubes:
    return track(video, tracker, detections, TrackerConfig(**chosen))[0]


def test_objects_get_ids_in_order_of_discovery_and_keep_them(square_clip: Path, models: Any) -> None:
    video = open_video(Source("v", square_clip))
    keys = key_frames(len(video), 15)
    tubes = tracked(video, models, dict(zip(keys, models.detect(video, keys), strict=True)))
    assert {i: d.category for i, d in tubes.objects.items()} == {1: "person", 2: "dog"}
    assert tubes.discovered_at == {1: 0, 2: 15}
    assert [sorted(tubes.frames[f]) for f in (0, 14, 15, 39)] == [[1], [1], [1, 2], [1, 2]]


def boxed(video: Video, box: Box | None) -> Instance | None:
    return encode_mask(box_mask(video, box)) if box else None


def box_mask(video: Video, box: Box) -> Mask:
    mask = np.zeros((video.height, video.width), np.bool_)
    mask[int(box[1]) : int(box[3]), int(box[0]) : int(box[2])] = True
    return mask


class Still:
    """A tracker whose objects stay where they were found, from then until a frame; what it sees on the way back is given."""

    def __init__(self, back: Box | None = None, gone: Mapping[int, int] | None = None) -> None:
        self.back, self.gone = back, gone or {}
        self.swept: list[int] = []
        self.opened: list[tuple[range, int]] = []

    def open(self, video: Video, frames: range, last_prompt: int, memory: MemoryConfig) -> AbstractContextManager[Still]:
        self.video, self.frames, self.instances = video, frames, dict[int, Instance]()
        self.opened.append((frames, last_prompt))
        return nullcontext(self)

    def segment(self, index: int, boxes: Sequence[Box]) -> list[Mask]:
        return [box_mask(self.video, b) for b in boxes]

    def add(self, index: int, masks: Mapping[int, Mask]) -> None:
        for object_id, mask in masks.items():
            instance = encode_mask(mask)
            assert instance is not None
            self.instances[object_id] = instance
            if index >= self.gone.get(object_id, len(self.video)):
                self.gone = {i: frame for i, frame in self.gone.items() if i != object_id}

    def forward(self, start: int, stop: int) -> Iterator[tuple[int, dict[int, Instance]]]:
        for index in range(start + 1, stop + 1):
            yield index, {i: n for i, n in self.instances.items() if index < self.gone.get(i, len(self.video))}

    def backward(self, found: Mapping[int, Mapping[int, Mask]]) -> Iterator[tuple[int, dict[int, Instance]]]:
        self.swept += found
        seen = boxed(self.video, self.back)
        assert seen is not None
        for start, masks in found.items():
            yield from ((index, dict.fromkeys(masks, seen)) for index in range(start - 1, self.frames.start - 1, -1))

    def work(self) -> TrackingCost:
        return TrackingCost(len(self.frames), 1, "held")


A, B = Detection((0, 0, 40, 40), "person", 0.9), Detection((80, 60, 120, 100), "person", 0.8)


@pytest.fixture
def video(square_clip: Path) -> Video:
    return open_video(Source("v", square_clip))


def test_backward_masks_fill_frames_before_discovery(video: Video) -> None:
    tracker = Still(B.box)
    tubes = tracked(video, tracker, {0: [A], 15: [A, B], 30: [B, A]})
    assert tracker.swept == [15]
    assert sorted(tubes.frames[0]) == [1, 2]
    assert len(tubes.objects) == 2


def test_features_are_wanted_again_up_to_the_last_frame_with_detections(video: Video) -> None:
    tracker = Still(B.box)
    tracked(video, tracker, {0: [A], 15: [A, B], 30: []})
    assert tracker.opened == [(range(40), 15)]


def test_an_older_object_keeps_its_masks_where_a_backward_pass_meets_it(video: Video) -> None:
    tubes = tracked(video, Still(A.box), {0: [A], 15: [A, B], 30: []})
    assert sorted(tubes.frames[3]) == [1]
    assert tubes.hidden_behind_older == 15


def test_an_object_beside_the_one_it_was_followed_onto_is_another(video: Video) -> None:
    tubes = tracked(video, Still(A.box), {0: [A], 15: [A, B], 30: []})
    assert sorted(tubes.objects) == [1, 2]
    assert tubes.merged == {}


def test_an_object_that_was_an_older_one_all_along_is_merged_with_it(video: Video) -> None:
    tubes = tracked(video, Still(A.box, gone={1: 15}), {0: [A], 15: [B], 30: []}, identity=False)
    assert tubes.merged == {2: 1}
    assert list(tubes.objects) == [1]
    assert all(list(here) == [1] for here in tubes.frames.values())
    assert [tubes.frames[f][1].box for f in (14, 15, 39)] == [A.box, B.box, B.box]
    assert tubes.hidden_behind_older == 15


def test_a_lost_object_takes_its_id_back(video: Video) -> None:
    near = Detection((10, 5, 50, 45), "person", 0.9)
    found = {0: [A], 15: [], 30: [near]}
    tracker = Still(A.box, gone={1: 12})
    tubes = tracked(video, tracker, found)
    assert tubes.recovered == 1
    assert list(tubes.objects) == [1]
    assert [sorted(tubes.frames.get(f, {})) for f in (11, 12, 29, 30, 39)] == [[1], [], [], [1], [1]]
    assert tracker.swept == []
    alone = tracked(video, Still(near.box, gone={1: 12}), found, identity=False)
    assert sorted(alone.objects) == [1, 2]
    assert alone.recovered == 0


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (Detection((80, 60, 120, 100), "dog", 0.9), "of another kind"),
        (Detection((0, 0, 20, 20), "person", 0.9), "a third of the size"),
        (Detection((200, 140, 239, 179), "person", 0.9), "too far away"),
    ],
)
def test_what_is_too_unlike_a_lost_object_is_another(video: Video, other: Detection, why: str) -> None:
    tubes = tracked(video, Still(other.box, gone={1: 12}), {0: [A], 15: [other], 30: []})
    assert sorted(tubes.objects) == [1, 2], why


def test_overlapping_masks_are_an_option_and_the_older_object_keeps_its_pixels(video: Video) -> None:
    beside = Detection((30, 0, 70, 40), "person", 0.9)
    found = {0: [A, beside], 15: [], 30: []}
    both = tracked(video, Still(), found)
    apart = tracked(video, Still(), found, overlapping=False)
    assert [both.frames[20][i].area for i in (1, 2)] == [1600, 1600]
    assert [apart.frames[20][i].area for i in (1, 2)] == [1600, 1200]
    assert apart.frames[20][2].box == (40, 0, 70, 40)


def test_segments_are_tracked_apart_and_share_their_ids(video: Video) -> None:
    tracker = Still(B.box)
    found = {5: [A], 20: [B], 25: [A, B]}
    tubes, work = track(video, tracker, found, TrackerConfig(identity=False), [range(5, 10), range(20, 30)])
    assert [frames for frames, _ in tracker.opened] == [range(5, 10), range(20, 30)]
    assert sorted(tubes.frames) == [*range(5, 10), *range(20, 30)]
    assert tubes.discovered_at == {1: 5, 2: 20, 3: 25}
    assert work == TrackingCost(15, 2, "held")


def test_too_many_objects_are_an_error(video: Video) -> None:
    with pytest.raises(CrowdedError, match="more than 1 objects by frame 15"):
        track(video, Still(), {0: [A], 15: [B]}, TrackerConfig(), max_objects=1)


def test_work_adds_up_and_the_farther_place_counts() -> None:
    assert TrackingCost(3, 4, "spilled") + TrackingCost(1, 1, "held") == TrackingCost(4, 5, "spilled")
    assert TrackingCost() + TrackingCost(1, 1, "encoded_again") == TrackingCost(1, 1, "encoded_again")


def test_backward_tracking_is_an_option(video: Video) -> None:
    tracker = Still(B.box)
    tubes = tracked(video, tracker, {0: [A], 15: [B], 30: []}, backward=False)
    assert tracker.swept == []
    assert sorted(tubes.frames[0]) == [1]


def test_a_video_may_start_without_objects(video: Video) -> None:
    tubes = tracked(video, Still(), {0: [], 15: [], 30: [B]}, backward=False)
    assert min(tubes.frames) == 30
    assert max(tubes.frames) == 39
    assert tracked(video, Still(), {0: [], 15: []}).frames == {}


def test_new_means_below_both_thresholds_with_every_known_mask() -> None:
    def bar(start: int, stop: int) -> Instance:
        mask = np.zeros((1, 100), np.bool_)
        mask[0, start:stop] = True
        instance = encode_mask(mask)
        assert instance is not None
        return instance

    def new(one: Instance, *known: Instance) -> bool:
        return is_new(one, known, (1, 100), TrackerConfig())

    assert new(bar(0, 10))
    assert new(bar(0, 10), bar(50, 90))
    assert new(bar(0, 20), bar(9, 29))  # IoU 11/29 < 0.4, overlap 11/20 < 0.6
    assert not new(bar(0, 20), bar(50, 60), bar(8, 28))  # IoU 12/28 >= 0.4
    assert not new(bar(0, 5), bar(2, 60))  # IoU 3/60 < 0.4, overlap 3/5 >= 0.6


def test_the_target_and_confidence_choose_detections() -> None:
    found = [Detection(A.box, "dog", 0.5), Detection(A.box, "person", 0.3), Detection(A.box, "person", 0.2)]
    assert [d.score for d in filter_detections(found, DetectorConfig(target="person"))] == [0.3]
    assert [d.score for d in filter_detections(found, DetectorConfig(target="non-person"))] == [0.5]
    assert [d.score for d in filter_detections(found, DetectorConfig(confidence=0.0))] == [0.5, 0.3, 0.2]


def test_every_registered_name_loads() -> None:
    for registry, kind in ((DETECTORS, "detector"), (TRACKERS, "tracker")):
        for name in registry:
            assert isinstance(load_plugin(registry, name, kind), type)
