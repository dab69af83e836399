"""Discovery and tracking: detections on key frames become objects with persistent IDs (sections 3.2 and 4.1).

A detection is a new object if its mask differs from every mask tracked on that frame. New objects are tracked forward with the
others, and backward from their discovery to the first frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tasks.detection.base import Detection
from tasks.masks.instances import Instance, Mask, encode_mask, intersections
from tasks.tracking.base import Session, Tracker, TrackingCost
from tasks.tracking.config import TrackerConfig
from tasks.tracking.identity import lost_objects, match_lost
from tasks.tracking.tubes import Tubes
from tasks.video.reader import Video


class CrowdedError(Exception):
    """A video with more objects than allowed."""


def track(
    video: Video,
    tracker: Tracker,
    detections: Mapping[int, Sequence[Detection]],
    config: TrackerConfig,
    segments: Sequence[range] = (),
    max_objects: int = 0,
    tracking: type[Tracking] | None = None,
) -> tuple[Tubes, TrackingCost]:
    """Track every detected object through the video.

    Args:
        video: the video.
        tracker: tracker that propagates masks.
        detections: key frame index -> detections there, with the first frame of each segment among the key frames.
        config: thresholds and direction of tracking.
        segments: disjoint ranges of consecutive frames to track, ascending; all frames by default.
        max_objects: maximum number of objects; 0 for no limit.
        tracking: how the objects of a segment are tracked; `Tracking` by default.

    Returns:
        The tubes of all objects, and the cost of tracking.

    Raises:
        CrowdedError: there are more objects than allowed.
    """
    tubes, work = Tubes((video.height, video.width), config.max_iou, config.overlapping), TrackingCost()
    for frames in segments or [range(len(video))]:
        here = {key: boxes for key, boxes in sorted(detections.items()) if key in frames}
        last = max((key for key, boxes in here.items() if boxes), default=frames.start)
        with tracker.open(video, frames, last, config.memory) as session:
            kind = tracking or Tracking
            kind(video=video, session=session, tubes=tubes, config=config, max_objects=max_objects).run(here, frames)
            work += session.work()
    return tubes, work


@dataclass
class Tracking:
    """Tracking of one segment."""

    video: Video
    session: Session
    tubes: Tubes
    config: TrackerConfig
    max_objects: int
    started: bool = False
    late: dict[int, dict[int, Mask]] = field(default_factory=dict)

    def run(self, detections: Mapping[int, Sequence[Detection]], frames: range) -> None:
        """Track forward with discovery on key frames, then backward."""
        keys = list(detections)
        for key, stop in zip(keys, [*keys[1:], frames.stop - 1], strict=True):
            self.discover(key, detections[key], late=key > frames.start)
            if self.started:
                for index, instances in self.session.forward(key, stop):
                    self.tubes.add(index, instances)
        if self.config.backward and self.late:
            self.follow_back(frames)

    def follow_back(self, frames: range) -> None:
        """Follow late objects back to the first frame, and merge those that are one."""
        for index, instances in self.session.backward(self.late):
            self.tubes.add_backward(index, instances)
        self.tubes.merge()

    def discover(self, key: int, detections: Sequence[Detection], late: bool) -> None:
        """Add new detections of a key frame: reappeared objects under their old ID, others under a new ID."""
        fresh = self.new_detections(key, detections)
        here = self.tubes.frames.get(key, {})
        lost = lost_objects(self.tubes, here) if self.config.identity else {}
        back = match_lost(self.video, self.tubes, key, [(d, i) for d, i, _ in fresh], lost) if lost else {}
        masks: dict[int, Mask] = {}
        for number, (detection, instance, mask) in enumerate(fresh):
            object_id = back[number] if number in back else self.tubes.new_object(detection, key)
            self.tubes.add(key, {object_id: instance})
            masks[object_id] = mask
        self.tubes.recovered += len(back)
        if self.max_objects and len(self.tubes.objects) > self.max_objects:
            raise CrowdedError(f"more than {self.max_objects} objects by frame {key}")
        if masks:
            self.session.add(key, masks)
            self.started = True
        new = {object_id: mask for object_id, mask in masks.items() if object_id not in back.values()}
        if late and new:
            self.late[key] = new

    def new_detections(self, key: int, detections: Sequence[Detection]) -> list[tuple[Detection, Instance, Mask]]:
        """Detections of a key frame that match no tracked object and no earlier detection, with their masks."""
        known = list(self.tubes.frames.get(key, {}).values())
        fresh = []
        masks = self.segmented(key, detections) if detections else []
        for detection, mask in zip(detections, masks, strict=True):
            instance = encode_mask(mask)
            if instance is not None and is_new(instance, known, self.tubes.shape, self.config):
                fresh.append((detection, instance, mask))
                known.append(instance)
        return fresh

    def segmented(self, key: int, detections: Sequence[Detection]) -> list[Mask]:
        """Masks of detections of a key frame."""
        return self.session.segment(key, [d.box for d in detections])


def is_new(instance: Instance, known: Sequence[Instance], shape: tuple[int, int], config: TrackerConfig) -> bool:
    """Whether an instance is below both thresholds with every known instance of its frame.

    Args:
        instance: instance of a detection.
        known: instances of tracked objects on the same frame.
        shape: (height, width) of the image in pixels.
        config: IoU and overlap thresholds.
    """
    areas: NDArray[np.float64] = np.array([other.area for other in known], np.float64)
    both = intersections([instance], known, shape)[0] if known else areas
    iou, overlap = both / (areas + instance.area - both), both / np.minimum(areas, instance.area)
    return bool(np.all((iou < config.max_iou) & (overlap < config.max_overlap)))
