"""What a tracker is: its configuration, its room, and the session in which it follows one video."""

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
        """One mask for each box on frame `index`; it may be empty.

        Args:
            index: 0-based native frame index.
            boxes: (x1, y1, x2, y2) in pixels of the video, half-open.
        """
        ...

    def add(self, index: int, masks: Mapping[int, Mask]) -> None:
        """Start to track objects, ID -> mask on frame `index`, which tracking has reached; a known ID starts anew.

        Args:
            index: 0-based native frame index; tracking has reached this frame.
            masks: object ID -> mask, bool (height, width).
        """
        ...

    def forward(self, start: int, stop: int) -> Iterator[tuple[int, dict[int, Instance]]]:
        """Instances of all added objects on frames start + 1 ... stop, both included, in order.

        Args:
            start: native frame of the last prompts, excluded.
            stop: last native frame, included.
        """
        ...

    def backward(self, prompts: Mapping[int, Mapping[int, Mask]]) -> Iterator[tuple[int, dict[int, Instance]]]:
        """Instances of late objects on the frames before their discovery.

        Args:
            prompts: frame index of a discovery -> object ID -> its mask, bool (height, width).

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

    def open(self, video: Video, frames: range, last_prompt: int, budget: Budget) -> AbstractContextManager[Session]:
        """Start to track `frames`, consecutive; objects are found on none after `last_prompt`.

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
"""Name -> class taking a `TrackConfig`."""


def build_tracker(config: TrackConfig) -> Tracker:
    """Load the tracker that `config` names; its weights are fetched first if they are elsewhere.

    Raises:
        ValueError: no tracker of that name.
        WeightsError: its weights are not there or do not fit.
        StoreError: they cannot be fetched.
    """
    with local_weights(config.weights) as weights:
        return cast(Tracker, load_plugin(TRACKERS, config.tracker, "tracker")(replace(config, weights=weights)))
