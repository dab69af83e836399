"""Interface of trackers: the tracker, its session for one video, and the cost of tracking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, cast

from storage.common.plugins import load_plugin
from tasks.masks.instances import Box, Instance, Mask
from tasks.tracking.config import MemoryConfig, TrackerConfig
from tasks.video.reader import Video
from tasks.weights import Weights, local_weights, weights_named


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
