"""Discovery and tracking: detections on key frames become objects with one lasting ID each (section 3.2, 4.1).

A detection is a new object only if its mask differs from every mask tracked on that frame. New objects are tracked
forward with the others and backward from their discovery to the first frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from tasks.detect import Detection
from tasks.identity import lost_objects, returning
from tasks.masks import Box, Instance, Mask, encode, intersections
from tasks.plugins import load_plugin
from tasks.tubes import Tubes
from tasks.video import Video
from tasks.weights import Weights


class CrowdedError(Exception):
    """A video with more objects than are allowed."""


@dataclass(frozen=True)
class Budget:
    """Room for image features that are needed again on the way back; nothing here shapes a mask.

    Attributes:
        features_mb: MiB on the tracker's device. SAM2.1 takes 8.4 MB a frame at 1024 pixels in bfloat16, 16.8 in float32.
        spill_mb: MiB in a temporary file beyond that; frames beyond both are encoded again.
        objects_at_once: objects of one step; each takes some 20 MB at 1024 pixels while it lasts.
    """

    features_mb: int = 2048
    spill_mb: int = 4096
    objects_at_once: int = 16

    def lean(self) -> Budget:
        """The same room without the device's memory, objects one by one."""
        return Budget(0, self.features_mb + self.spill_mb, 1)


@dataclass(frozen=True)
class TrackConfig:
    """How objects are told apart and followed; every field but `device`, `compiled` and `budget` shapes the masks.

    Attributes:
        tracker: a name in `TRACKERS`.
        max_iou: a detection is new only below this mask IoU with every tracked mask (section 4.1: 0.4).
        max_overlap: and below this intersection over the smaller mask (section 4.1: 0.6).
        backward: also track each new object backward from its discovery (section A.6).
        identity: a new object that continues a lost one takes its ID back (section A.6).
        overlapping: whether a pixel may belong to several objects.
        model: SAM2.1 size: tiny, small, base_plus or large.
        image_size_px: side of the square the SAM2.1 encoder sees; a multiple of 32 of at least 128.
        precision: in which SAM2.1 runs: float32 or bfloat16.
        weights: SAM2.1 checkpoint; None builds random weights, which only tests want.
        device: torch device.
        compiled: whether SAM2.1's parts are compiled first.
        budget: room for features.
    """

    tracker: str = "flow"
    max_iou: float = 0.4
    max_overlap: float = 0.6
    backward: bool = True
    identity: bool = True
    overlapping: bool = True
    model: str = "large"
    image_size_px: int = 1024
    precision: str = "float32"
    weights: Weights | None = None
    device: str = "cpu"
    compiled: bool = False
    budget: Budget = field(default_factory=Budget)


@dataclass(frozen=True)
class Work:
    """What tracking a video took.

    Attributes:
        encoder_passes: frames that went through the image encoder, each counted as often as it did; 0 without one.
        object_steps: steps of one object by one frame.
        features: where features needed again went: `held`, `spilled`, `encoded_again`; empty without an encoder.
    """

    encoder_passes: int = 0
    object_steps: int = 0
    features: str = ""

    def __add__(self, other: Work) -> Work:
        """Both together; of two places the farther one counts."""
        order = ("", "held", "spilled", "encoded_again")
        farther = max(self.features, other.features, key=order.index)
        return Work(self.encoder_passes + other.encoder_passes, self.object_steps + other.object_steps, farther)


class Session(Protocol):
    """One video being tracked. Masks are bool (height, width) of the video; instances are absent where not visible."""

    def segment(self, index: int, boxes: Sequence[Box]) -> list[Mask]:
        """One mask for each box on frame `index`; it may be empty."""
        ...

    def add(self, index: int, masks: Mapping[int, Mask]) -> None:
        """Start to track objects, ID -> mask on frame `index`, which tracking has reached; a known ID starts anew."""
        ...

    def forward(self, start: int, stop: int) -> Iterator[tuple[int, dict[int, Instance]]]:
        """Instances of all added objects on frames start + 1 ... stop, both included, in order."""
        ...

    def backward(self, found: Mapping[int, Mapping[int, Mask]]) -> Iterator[tuple[int, dict[int, Instance]]]:
        """Instances of late objects on the frames before their discovery.

        Args:
            found: frame index of a discovery -> object ID -> mask there.

        Yields:
            A frame index and instances there, frames in any order; each object once on each frame before its discovery, older
            objects no later than younger ones.
        """
        ...

    def work(self) -> Work:
        """What tracking took so far."""
        ...


class Tracker(Protocol):
    """Holds a model; opens a session for each video."""

    def open(self, video: Video, frames: range, found_until: int, budget: Budget) -> AbstractContextManager[Session]:
        """Start to track `frames`, consecutive; objects are found on none after `found_until`."""
        ...


TRACKERS: Mapping[str, str] = {
    "flow": "tasks.trackers.flow:FlowTracker",
    "sam2": "tasks.trackers.sam2.tracker:Sam2Tracker",
}
"""Name -> class taking a `TrackConfig`."""


def build_tracker(config: TrackConfig) -> Tracker:
    """Load the tracker that `config` names.

    Raises:
        ValueError: no tracker of that name.
    """
    return cast(Tracker, load_plugin(TRACKERS, config.tracker, "tracker")(config))


def track(
    video: Video,
    tracker: Tracker,
    detections: Mapping[int, Sequence[Detection]],
    config: TrackConfig,
    segments: Sequence[range] = (),
    max_objects: int = 0,
) -> tuple[Tubes, Work]:
    """Follow every detected object through the video.

    Args:
        video: the video.
        tracker: what propagates masks.
        detections: key frame index -> detections there, the first of each segment among them.
        config: thresholds and direction.
        segments: stretches of consecutive frames to track, ascending, apart; none takes all frames.
        max_objects: most objects allowed; 0 allows any number.

    Returns:
        The tubes of all objects, and what they took.

    Raises:
        CrowdedError: there are more objects than allowed.
    """
    tubes, work = Tubes((video.height, video.width), config.max_iou, config.overlapping), Work()
    for frames in segments or [range(len(video))]:
        here = {key: found for key, found in sorted(detections.items()) if key in frames}
        last = max((key for key, found in here.items() if found), default=frames.start)
        with tracker.open(video, frames, last, config.budget) as session:
            _Tracking(video, session, tubes, config, max_objects).run(here, frames)
            work += session.work()
    return tubes, work


@dataclass
class _Tracking:
    """One segment on its way."""

    video: Video
    session: Session
    tubes: Tubes
    config: TrackConfig
    max_objects: int
    started: bool = False
    late: dict[int, dict[int, Mask]] = field(default_factory=dict)

    def run(self, detections: Mapping[int, Sequence[Detection]], frames: range) -> None:
        """Forward with discoveries, then backward."""
        keys = list(detections)
        for key, stop in zip(keys, [*keys[1:], frames.stop - 1], strict=True):
            self.discover(key, detections[key], late=key > frames.start)
            if self.started:
                for index, instances in self.session.forward(key, stop):
                    self.tubes.put(index, instances)
        if self.config.backward and self.late:
            for index, instances in self.session.backward(self.late):
                self.tubes.put_backward(index, instances)
            self.tubes.merge()

    def discover(self, key: int, detections: Sequence[Detection], late: bool) -> None:
        """Add what is new on a key frame: lost objects that are back by their old ID, others by a new one."""
        fresh = self.fresh(key, detections)
        here = self.tubes.frames.get(key, {})
        lost = lost_objects(self.tubes, here) if self.config.identity else {}
        back = returning(self.video, self.tubes, key, [(d, i) for d, i, _ in fresh], lost) if lost else {}
        found: dict[int, Mask] = {}
        for number, (detection, instance, mask) in enumerate(fresh):
            object_id = back[number] if number in back else self.tubes.new_object(detection, key)
            self.tubes.put(key, {object_id: instance})
            found[object_id] = mask
        self.tubes.recovered += len(back)
        if self.max_objects and len(self.tubes.objects) > self.max_objects:
            raise CrowdedError(f"more than {self.max_objects} objects by frame {key}")
        if found:
            self.session.add(key, found)
            self.started = True
        new = {object_id: mask for object_id, mask in found.items() if object_id not in back.values()}
        if late and new:
            self.late[key] = new

    def fresh(self, key: int, detections: Sequence[Detection]) -> list[tuple[Detection, Instance, Mask]]:
        """Detections of a key frame that are no object tracked there, nor one another, each with its mask."""
        known = list(self.tubes.frames.get(key, {}).values())
        fresh = []
        masks = self.session.segment(key, [d.box for d in detections]) if detections else []
        for detection, mask in zip(detections, masks, strict=True):
            instance = encode(mask)
            if instance is not None and is_new(instance, known, self.tubes.shape, self.config):
                fresh.append((detection, instance, mask))
                known.append(instance)
        return fresh


def is_new(instance: Instance, known: Sequence[Instance], shape: tuple[int, int], config: TrackConfig) -> bool:
    """Whether an instance is below both thresholds with every known one of its frame of `shape` (height, width)."""
    areas: NDArray[np.float64] = np.array([other.area for other in known], np.float64)
    both = intersections([instance], known, shape)[0] if known else areas
    iou, overlap = both / (areas + instance.area - both), both / np.minimum(areas, instance.area)
    return bool(np.all((iou < config.max_iou) & (overlap < config.max_overlap)))
