"""Interface of trackers: the tracker, its session for one video, and the cost of tracking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Protocol, cast

from storage.common.plugins import load_plugin
from tasks.masks.instances import Box, Instance, Mask
from tasks.video.reader import Video
from tasks.weights import Weights, local_weights


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
    """Cost of tracking a video.

    Attributes:
        encoder_passes: frames that went through the image encoder, counted once per pass; 0 without an encoder.
        object_steps: steps of one object by one frame.
        features: storage of reused features: `held` on the device, `spilled` to a file, `encoded_again`; empty without an
            encoder.
    """

    encoder_passes: int = 0
    object_steps: int = 0
    features: str = ""

    def __add__(self, other: Work) -> Work:
        """Sum of both; of the two kinds of feature storage, the slower one counts."""
        order = ("", "held", "spilled", "encoded_again")
        farther = max(self.features, other.features, key=order.index)
        return Work(self.encoder_passes + other.encoder_passes, self.object_steps + other.object_steps, farther)


class Session(Protocol):
    """Tracking session of one video. Masks are bool (height, width) of the video; invisible objects have no instance."""

    def segment(self, index: int, boxes: Sequence[Box]) -> list[Mask]:
        """Segment the object in each box on frame `index`; a mask may be empty.

        Args:
            index: 0-based native frame index.
            boxes: (x1, y1, x2, y2) in pixels of the video, half-open.
        """
        ...

    def add(self, index: int, masks: Mapping[int, Mask]) -> None:
        """Start to track objects by their masks on a frame; an object that is tracked already is restarted.

        Args:
            index: 0-based native frame index, which tracking has reached.
            masks: object ID -> mask, bool (height, width).
        """
        ...

    def forward(self, start: int, stop: int) -> Iterator[tuple[int, dict[int, Instance]]]:
        """Instances of all added objects on frames start + 1 to stop, both included, in order.

        Args:
            start: native frame of the last prompts, not included.
            stop: last native frame, included.
        """
        ...

    def backward(self, prompts: Mapping[int, Mapping[int, Mask]]) -> Iterator[tuple[int, dict[int, Instance]]]:
        """Instances of objects on the frames before their discovery, for objects discovered after the first frame.

        Args:
            prompts: frame index of a discovery -> object ID -> its mask, bool (height, width).

        Yields:
            A frame index and the instances there, frames in any order; each object once on each frame before its discovery,
            older objects no later than younger ones.
        """
        ...

    def work(self) -> Work:
        """Cost of tracking so far."""
        ...


class Tracker(Protocol):
    """A loaded model that opens a session for each video."""

    def open(self, video: Video, frames: range, last_prompt: int, budget: Budget) -> AbstractContextManager[Session]:
        """Open a session that tracks consecutive frames of a video.

        Args:
            video: the opened video.
            frames: consecutive native frame indices to track.
            last_prompt: last native frame on which an object may be added.
            budget: memory and disk for image features, in MiB.
        """
        ...


TRACKERS: Mapping[str, str] = {
    "flow": "tasks.tracking.flow:FlowTracker",
    "sam2": "tasks.tracking.sam2.tracker:Sam2Tracker",
}
"""Name -> class that takes a tracker configuration, imported on use."""


def build_tracker(config: TrackConfig) -> Tracker:
    """Load the configured tracker; its weights are fetched first if they are remote.

    Raises:
        ValueError: there is no tracker of this name.
        WeightsError: its weights are missing or do not match.
        StoreError: its weights cannot be fetched.
    """
    with local_weights(config.weights) as weights:
        return cast(Tracker, load_plugin(TRACKERS, config.tracker, "tracker")(replace(config, weights=weights)))
