"""Interface of trackers: the tracker, its session for one video, and the cost of tracking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol, cast, get_args

from pydantic import Field

from storage.common.config import RUNTIME, Config
from storage.common.plugins import load_plugin
from tasks.masks.instances import Box, Instance, Mask
from tasks.video.reader import Video
from tasks.weights import Weights, local_weights, weights_named

TrackerName = Literal["flow", "sam2"]
Precision = Literal["auto", "float32", "bfloat16"]
Sam2Model = Literal["tiny", "small", "base_plus", "large"]
SAM2_MODELS: tuple[Sam2Model, ...] = get_args(Sam2Model)


class MemoryConfig(Config):
    """Room for image features that are needed again on the way back; nothing here shapes a mask.

    At 1024 pixels SAM2.1 takes 8.4 MB a frame in bfloat16, 16.8 in float32, and some 20 MB for each object of a step.
    """

    features_mb: int = Field(
        2048,
        title="Feature memory",
        ge=0,
        le=1_000_000,
        description="MiB of a worker's device memory for image features.",
    )
    spill_mb: int = Field(
        4096,
        title="Feature file",
        ge=0,
        le=1_000_000,
        description="MiB of a temporary file for the features beyond; frames beyond both are encoded again.",
    )
    objects_at_once: int = Field(
        16, title="Objects at once", ge=1, le=1024, description="Objects that SAM2.1 tracks in one step on the device."
    )

    def lean(self) -> MemoryConfig:
        """The same room without the device's memory, objects one by one."""
        return MemoryConfig(features_mb=0, spill_mb=min(self.features_mb + self.spill_mb, 1_000_000), objects_at_once=1)


class Sam2Config(Config):
    """SAM2.1: its size, its input and its numbers."""

    model: Sam2Model = Field("large", title="SAM2.1 model", description="Size of SAM2.1.")
    image_size_px: int = Field(
        1024,
        title="SAM2.1 image size",
        ge=128,
        le=2048,
        multiple_of=32,
        description="Side in pixels of the square image that SAM2.1 sees, a multiple of 32.",
    )
    precision: Precision = Field(
        "auto", title="SAM2.1 precision", description="Number format of SAM2.1; auto takes bfloat16 on a GPU, else float32."
    )
    compiled: Annotated[bool, RUNTIME] = Field(
        False, title="Compile SAM2.1", description="Compile SAM2.1: slow to start, faster a frame; for many videos on a GPU."
    )


class TrackerConfig(Config):
    """The tracker, and how objects are told apart and followed (sections 4.1 and A.6)."""

    name: TrackerName = Field("flow", title="Tracker", description="Tracker that follows objects: optical flow, or SAM2.1.")
    weights: Annotated[str, RUNTIME] = Field(
        "",
        title="Tracker weights",
        description="Name, path or s3://...#sha256=... of SAM2.1's weights; empty takes the model's own, random none.",
    )
    max_iou: float = Field(
        0.4,
        title="New below IoU",
        ge=0,
        le=1,
        description="A detection is a new object only if its IoU with every tracked mask is below this (paper: 0.4).",
    )
    max_overlap: float = Field(
        0.6,
        title="New below overlap",
        ge=0,
        le=1,
        description="A detection is a new object only if its intersection over the smaller mask is below this (paper: 0.6).",
    )
    backward: bool = Field(
        True, title="Track backward", description="Follow each new object back to the first frame of the video as well."
    )
    identity: bool = Field(
        True, title="Recover identities", description="A new object that continues a lost one gets the ID of the lost one."
    )
    overlapping: bool = Field(
        True, title="Masks may overlap", description="A pixel may belong to several objects; otherwise to one at most."
    )
    device: Annotated[Literal["auto", "cpu", "cuda"], RUNTIME] = Field(
        "auto", title="Device", description="Device of SAM2.1; auto takes the GPU of a worker that has one, else the CPU."
    )
    sam2: Sam2Config = Field(Sam2Config(), title="SAM2.1", description="Settings of SAM2.1; the flow tracker ignores them.")
    memory: Annotated[MemoryConfig, RUNTIME] = Field(
        MemoryConfig(), title="Feature memory", description="Room for SAM2.1's image features; the flow tracker ignores it."
    )

    def unused(self) -> frozenset[str]:
        """The settings of SAM2.1 have no effect on another tracker."""
        return frozenset() if self.name == "sam2" else frozenset({"sam2"})

    def resolved(self, gpu: bool) -> TrackerConfig:
        """A copy in which device and precision are no longer `auto`.

        Args:
            gpu: whether the tracker's process has a GPU.
        """
        device = ("cuda" if gpu else "cpu") if self.device == "auto" else self.device
        precision = self.sam2.precision
        if precision == "auto":
            precision = "bfloat16" if device == "cuda" else "float32"
        sam2 = self.sam2.model_copy(update={"precision": precision})
        return self.model_copy(update={"device": device, "sam2": sam2})


@dataclass(frozen=True)
class TrackingCost:
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

    def __add__(self, other: TrackingCost) -> TrackingCost:
        """Sum of both; of the two kinds of feature storage, the slower one counts."""
        order = ("", "held", "spilled", "encoded_again")
        farther = max(self.features, other.features, key=order.index)
        return TrackingCost(self.encoder_passes + other.encoder_passes, self.object_steps + other.object_steps, farther)


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
            A frame index and the instances there, frames in any order; older objects no later than younger ones.
        """
        ...

    def work(self) -> TrackingCost:
        """Cost of tracking so far."""
        ...


class Tracker(Protocol):
    """A loaded model that opens a session for each video."""

    def open(self, video: Video, frames: range, last_prompt: int, memory: MemoryConfig) -> AbstractContextManager[Session]:
        """Open a session that tracks consecutive frames of a video.

        Args:
            video: the opened video.
            frames: consecutive native frame indices to track.
            last_prompt: last native frame on which an object may be added.
            memory: memory and disk for image features.
        """
        ...


TRACKERS: Mapping[str, str] = {
    "flow": "tasks.tracking.flow:FlowTracker",
    "sam2": "tasks.tracking.sam2.tracker:Sam2Tracker",
}
"""Name -> class taking a `TrackerConfig` and its weights or None."""


def sam2_weights(model: str) -> str:
    """Name of the weights of SAM2.1 in one of its sizes."""
    return f"sam2.1_hiera_{model}.pt"


def find_tracker_weights(config: TrackerConfig) -> Weights | None:
    """Weights that a tracker is configured with, or its own; None for one without, or for random ones.

    Raises:
        WeightsError: they are missing.
    """
    return weights_named(config.weights or (sam2_weights(config.sam2.model) if config.name == "sam2" else ""))


def build_tracker(config: TrackerConfig, weights: Weights | None = None) -> Tracker:
    """Load a tracker.

    Args:
        config: names it; with a device `auto` it runs on the CPU.
        weights: its weights, fetched first if they are in an object store; None for a tracker without, or with random ones.

    Raises:
        ValueError: there is no tracker of this name.
        WeightsError: its weights are missing or do not match.
        StoreError: its weights cannot be fetched.
    """
    with local_weights(weights) as local:
        return cast(Tracker, load_plugin(TRACKERS, config.name, "tracker")(config.resolved(gpu=False), local))
