"""Discovery and tracking: detections on key frames become objects with one lasting ID each (section 3.2, 4.1).

A detection is a new object only if its mask differs from every mask tracked on that frame. New objects are tracked
forward with the others and backward from their discovery to the first frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, cast

from tasks.detect import Detection
from tasks.masks import Box, Instance, Mask, encode, mask_iou, mask_overlap
from tasks.plugins import load_plugin
from tasks.video import Video
from tasks.weights import Weights


@dataclass(frozen=True)
class TrackConfig:
    """How objects are told apart and followed; every field but `device` shapes the masks.

    Attributes:
        tracker: a name in `TRACKERS`.
        max_iou: a detection is new only below this mask IoU with every tracked mask (section 4.1: 0.4).
        max_overlap: and below this intersection over the smaller mask (section 4.1: 0.6).
        backward: also track each new object backward from its discovery (section A.6).
        model: SAM2.1 size: tiny, small, base_plus or large.
        image_size_px: side of the square the SAM2.1 encoder sees; a multiple of 32 of at least 128.
        weights: SAM2.1 checkpoint; None builds random weights, which only tests want.
        device: torch device.
    """

    tracker: str = "flow"
    max_iou: float = 0.4
    max_overlap: float = 0.6
    backward: bool = True
    model: str = "large"
    image_size_px: int = 1024
    weights: Weights | None = None
    device: str = "cpu"


class Session(Protocol):
    """One video being tracked. Masks are bool (height, width) of the video; absent means not visible there."""

    def segment(self, index: int, boxes: Sequence[Box]) -> list[Mask]:
        """One mask for each box on frame `index`; it may be empty."""
        ...

    def add(self, index: int, masks: Mapping[int, Mask]) -> None:
        """Start to track objects, ID -> mask on frame `index`."""
        ...

    def forward(self, start: int, stop: int) -> Iterator[tuple[int, dict[int, Mask]]]:
        """Masks of all added objects on frames start + 1 ... stop, both included, in order."""
        ...

    def backward(self, found: Mapping[int, Mapping[int, Mask]]) -> Iterator[tuple[int, dict[int, Mask]]]:
        """Masks of late objects on the frames before their discovery.

        Args:
            found: frame index of a discovery -> object ID -> mask there.

        Yields:
            A frame index and masks there, frames in any order; each object once on each frame before its discovery, older
            objects no later than younger ones.
        """
        ...


class Tracker(Protocol):
    """Holds a model; opens a session for each video."""

    def open(self, video: Video) -> Session:
        """Start to track one video."""
        ...


TRACKERS: Mapping[str, str] = {
    "flow": "tasks.trackers.flow:FlowTracker",
    "sam2": "tasks.trackers.sam2_official:Sam2Tracker",
}
"""Name -> class taking a `TrackConfig`."""


def build_tracker(config: TrackConfig) -> Tracker:
    """Load the tracker that `config` names.

    Raises:
        ValueError: no tracker of that name.
    """
    return cast(Tracker, load_plugin(TRACKERS, config.tracker, "tracker")(config))


@dataclass
class Tubes:
    """Every object of a video: what it is and its instance on each frame where it is visible.

    Attributes:
        objects: object ID (from 1, in order of discovery, never reused) -> the detection it was found by.
        found_at: object ID -> frame index of its discovery.
        frames: frame index -> object ID -> instance.
        hidden_behind_older: backward masks dropped because an older object has them (IoU >= max_iou).
    """

    objects: dict[int, Detection] = field(default_factory=dict)
    found_at: dict[int, int] = field(default_factory=dict)
    frames: dict[int, dict[int, Instance]] = field(default_factory=dict)
    hidden_behind_older: int = 0

    def put(self, index: int, object_id: int, instance: Instance | None) -> None:
        """Keep an instance; None, an empty mask, is not kept."""
        if instance is not None:
            self.frames.setdefault(index, {})[object_id] = instance


def track(video: Video, tracker: Tracker, detections: Mapping[int, Sequence[Detection]], config: TrackConfig) -> Tubes:
    """Follow every detected object through the video.

    Args:
        video: the video.
        tracker: what propagates masks.
        detections: key frame index -> detections there, ascending, frame 0 first.
        config: thresholds and direction.

    Returns:
        The tubes of all objects.
    """
    session, tubes = tracker.open(video), Tubes()
    keys = sorted(detections)
    late: dict[int, dict[int, Mask]] = {}
    here: dict[int, Mask] = {}
    for key, stop in zip(keys, [*keys[1:], len(video) - 1], strict=True):
        found = _discover(session, key, detections[key], here, tubes, config)
        if found:
            session.add(key, found)
            if key > 0:
                late[key] = found
        if tubes.objects:
            for index, here in session.forward(key, stop):
                _keep(tubes, index, here)
    if config.backward and late:
        for index, masks in session.backward(late):
            _keep_backward(tubes, index, masks, config)
    return tubes


def _discover(
    session: Session, key: int, detections: Sequence[Detection], tracked: Mapping[int, Mask], tubes: Tubes, config: TrackConfig
) -> dict[int, Mask]:
    known, found = [m for m in tracked.values() if m.any()], {}
    masks = session.segment(key, [d.box for d in detections]) if detections else []
    for detection, mask in zip(detections, masks, strict=True):
        if mask.any() and is_new(mask, known, config):
            object_id = len(tubes.objects) + 1
            tubes.objects[object_id], tubes.found_at[object_id] = detection, key
            tubes.put(key, object_id, encode(mask))
            found[object_id] = mask
            known.append(mask)
    return found


def is_new(mask: Mask, known: Sequence[Mask], config: TrackConfig) -> bool:
    """Whether a mask is below both thresholds with every known mask of its frame."""
    return all(mask_iou(mask, other) < config.max_iou and mask_overlap(mask, other) < config.max_overlap for other in known)


def _keep(tubes: Tubes, index: int, masks: Mapping[int, Mask]) -> None:
    for object_id, mask in masks.items():
        tubes.put(index, object_id, encode(mask))


def _keep_backward(tubes: Tubes, index: int, masks: Mapping[int, Mask], config: TrackConfig) -> None:
    for object_id in sorted(masks):
        mask = masks[object_id]
        instance = encode(mask)
        if instance is None:
            continue
        rivals = [other for other_id, other in tubes.frames.get(index, {}).items() if other_id < object_id]
        if any(rle_iou(instance, rival, mask.shape) >= config.max_iou for rival in rivals):
            tubes.hidden_behind_older += 1
        else:
            tubes.put(index, object_id, instance)


def rle_iou(a: Instance, b: Instance, shape: tuple[int, ...]) -> float:
    """Mask IoU of two instances of one frame of `shape` (height, width), without decoding them."""
    from pycocotools import mask as coco

    if min(a.box[2], b.box[2]) <= max(a.box[0], b.box[0]) or min(a.box[3], b.box[3]) <= max(a.box[1], b.box[1]):
        return 0.0
    codes = [{"size": list(shape), "counts": i.counts} for i in (a, b)]
    return float(coco.iou(codes[:1], codes[1:], [0])[0, 0])
