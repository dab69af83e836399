"""Frames prepared for the flow tracker: RGB, grey, colour bins and their histogram at working size."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tasks.tracking.colour import Bins, Histogram, colour_bins, histogram
from tasks.video.motion import Gray
from tasks.video.reader import Frames


class PreparedFrame(NamedTuple):
    """A frame at working size as RGB image, grey image and colour bins, with the histogram of its colours."""

    rgb: Frames
    gray: Gray
    bins: Bins
    colours: Histogram


def prepare_frame(frame: Frames) -> PreparedFrame:
    """Prepare a frame, uint8 (height, width, 3), RGB, at working size."""
    import cv2

    gray, bins = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8), colour_bins(frame)
    return PreparedFrame(rgb=frame, gray=gray, bins=bins, colours=histogram(bins))
