"""Configuration of trackers: which one, how identities are kept, and its memory."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field

from storage.common.config import RUNTIME, Config

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
