"""Shot cuts: where the colours of a video change from one frame to the next."""

from __future__ import annotations

from tasks.tracking.colour import histogram_overlap
from tasks.tracking.prepared_frame import PreparedFrame

CUT_OVERLAP = 0.5
"""Overlap of the colour histograms of two successive frames, in [0, 1], below which they belong to different shots."""


def is_cut(before: PreparedFrame, after: PreparedFrame) -> bool:
    """Whether a shot ends between two successive frames; no object is propagated across a cut.

    Args:
        before: a frame.
        after: the next one.
    """
    return histogram_overlap(before.colours, after.colours) < CUT_OVERLAP
