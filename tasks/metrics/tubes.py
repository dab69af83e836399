"""Tubes and cases: the true and the predicted tube of a sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.masks.instances import Box, box_ious


@dataclass(frozen=True, eq=False)
class Tube:
    """A span and the boxes of one object.

    Attributes:
        start, end: native frames, 0-based, closed.
        frames: int64 (n,), frames with a box, ascending; they may have gaps and extend beyond the span.
        boxes: float64 (n, 4), pixels, (x1, y1, x2, y2), half-open; scored without clipping.
    """

    start: int
    end: int
    frames: NDArray[np.int64]
    boxes: NDArray[np.float64]

    @property
    def length(self) -> int:
        """Number of frames of the span."""
        return self.end - self.start + 1


class Overlap(NamedTuple):
    """Frames on which both tubes have a box, ascending, and their IoU."""

    frames: NDArray[np.int64]
    ious: NDArray[np.float64]

    def total(self, first: int, last: int) -> float:
        """Sum of IoUs over the closed frame range [first, last].

        Args:
            first: first native frame.
            last: last native frame, included.
        """
        low, high = np.searchsorted(self.frames, [first, last + 1])
        return float(self.ious[low:high].sum())


def filled_tube(span: tuple[int, int], boxes: Mapping[int, Box]) -> Tube:
    """Tube from boxes on some frames, interpolated between them.

    Boxes are interpolated between neighbours with typical spacing, and the first and last box extend by one such step. Larger
    gaps have no boxes.

    Args:
        span: predicted span, native frames, closed; boxes outside it are ignored.
        boxes: native frame -> box, at least one.
    """
    frames_given = np.array(sorted(frame for frame in boxes if span[0] <= frame <= span[1]), np.int64)
    if not len(frames_given):
        return Tube(*span, frames_given, np.empty((0, 4)))
    corners = np.array([boxes[frame] for frame in frames_given.tolist()], np.float64)
    step = float(np.median(np.diff(frames_given))) if len(frames_given) > 1 else float(span[1] - span[0] + 1)
    every = np.arange(max(span[0], int(frames_given[0] - step) + 1), min(span[1], int(frames_given[-1] + step) - 1) + 1)
    right = np.clip(np.searchsorted(frames_given, every), 1, max(len(frames_given) - 1, 1))
    gaps = np.diff(frames_given) if len(frames_given) > 1 else np.array([step])
    outside = (every < frames_given[0]) | (every > frames_given[-1])
    near = outside | (gaps[right - 1] <= 1.5 * step) | np.isin(every, frames_given)
    frames = every[near]
    return Tube(*span, frames, np.stack([np.interp(frames, frames_given, side) for side in corners.T], axis=1))


@dataclass(frozen=True, eq=False)
class Case:
    """One sample to score.

    Attributes:
        fps, frame_count: of the video, native.
        predicted: None without a prediction.
        clip: clip of the sample, native frames, closed; None for the whole video.
        truth_s, predicted_s: the spans in seconds of the video, half-open; None for those of the frames, as
            `conventions.span_seconds` says.
        invalid: reason why the prediction cannot be used, so that it scores zero; empty if it can or is missing.
    """

    sample_id: str
    fps: float
    frame_count: int
    truth: Tube
    predicted: Tube | None
    clip: tuple[int, int] | None = None
    truth_s: tuple[float, float] | None = None
    predicted_s: tuple[float, float] | None = None
    invalid: str = ""

    @cached_property
    def overlap(self) -> Overlap:
        """IoU on the frames on which both tubes have a box."""
        if self.predicted is None:
            return Overlap(np.empty(0, np.int64), np.empty(0))
        return overlap(self.truth, self.predicted)


def overlap(a: Tube, b: Tube) -> Overlap:
    """IoU of two tubes on each frame on which both have a box.

    Args:
        a: one tube.
        b: the other tube, on the same frame numbering.
    """
    at = np.searchsorted(a.frames, b.frames)
    common = np.flatnonzero(a.frames[np.minimum(at, len(a.frames) - 1)] == b.frames) if len(a.frames) else np.empty(0, np.intp)
    return Overlap(b.frames[common], box_ious(a.boxes[at[common]], b.boxes[common]))


class Scores(NamedTuple):
    """Scores of one sample in [0, 1]; `gt_v_iou` is the vIoU with the true interval, None if it is not defined."""

    t_iou: float
    v_iou: float
    gt_v_iou: float | None = None
