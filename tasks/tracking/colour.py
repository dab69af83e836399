"""Foreground and background colour likelihoods of objects, from colour histograms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.masks.instances import Mask
from tasks.tracking.regions import Area, Window, window_around
from tasks.video.reader import Frames

LEVELS = 10
"""Quantisation levels per channel."""
Bins = NDArray[np.int16]
Histogram = NDArray[np.float32]
PARTS = 4
"""Horizontal parts of an object with a colour histogram each."""
_MIN_FREQUENCY = 4e-4
"""Frequency assigned to a colour that was not observed, so that it is neutral evidence."""


def colour_bins(frame: Frames) -> Bins:
    """Colour bin of each pixel, int16 (height, width), of a frame uint8 (height, width, 3)."""
    levels = frame.astype(np.int16) * LEVELS >> 8
    return np.asarray((levels[..., 0] * LEVELS + levels[..., 1]) * LEVELS + levels[..., 2], np.int16)


def histogram(bins: Bins) -> Histogram:
    """Smoothed relative frequencies of colour bins, float32 (LEVELS**3,)."""
    import cv2

    spread, alone = np.array([0.25, 0.5, 0.25]), np.array([1.0])
    counts = np.bincount(bins.ravel(), minlength=LEVELS**3).astype(np.float32)
    counts = cv2.sepFilter2D(counts.reshape(LEVELS * LEVELS, LEVELS), -1, spread, spread)
    counts = cv2.sepFilter2D(counts.reshape(LEVELS, LEVELS * LEVELS), -1, alone, spread)
    return np.asarray(counts.ravel() / max(float(counts.sum()), 1.0), np.float32)


def log_likelihood_ratio(own: Histogram, around: Histogram) -> Histogram:
    """Log-likelihood ratio of each colour, object against surroundings, float32 (LEVELS**3,), within [-1, 2].

    The lower bound is close to 0, since a part such as a face may have the colour of the background.

    Args:
        own: histogram of the object's colours, float32 (LEVELS**3,), sum 1.
        around: histogram of its surroundings, of the same shape.
    """
    return np.asarray(np.clip(np.log((own + _MIN_FREQUENCY) / (around + _MIN_FREQUENCY)), -1.0, 2.0), np.float32)


def histogram_overlap(a: Histogram, b: Histogram) -> float:
    """Intersection of two histograms, in [0, 1].

    Args:
        a: histogram, float32 (LEVELS**3,), sum 1.
        b: histogram of the same shape.
    """
    return float(np.minimum(a, b).sum())


def part_histograms(bins: Bins, mask: Mask, box: Area) -> Histogram:
    """Colour histogram of each horizontal part of an object, float32 (PARTS, LEVELS**3).

    Each part is mixed with the histogram of the whole object, since bodies bend.

    Each part knows a little of the whole, since bodies bend. Trousers are thus not taken for another's dark hair.

    Args:
        bins: colour bin of each pixel, int (height, width).
        mask: bool (height, width).
        box: (x1, y1, x2, y2) in pixels, half-open.
    """
    overall = histogram(bins[mask])
    top, bottom = max(int(box[1]), 0), min(int(box[3]) + 1, bins.shape[0])
    window = slice(top, bottom), slice(0, bins.shape[1])
    levels = part_of_rows(box, window)
    parts = []
    for level in range(PARTS):
        rows = np.flatnonzero(levels == level) + top
        part = bins[rows][mask[rows]]
        parts.append(0.7 * histogram(part) + 0.3 * overall if part.size >= 20 else overall)
    return np.stack(parts)


def part_of_rows(box: Area, window: Window) -> NDArray[np.intp]:
    """Horizontal part of a box that each row of a window belongs to, 0 at the top.

    Args:
        box: (x1, y1, x2, y2) in pixels, half-open.
        window: rows and columns of the image.
    """
    rows = np.arange(window[0].start, window[0].stop) + 0.5
    level = (rows - box[1]) * (PARTS / max(float(box[3] - box[1]), 1.0))
    return np.asarray(np.clip(level, 0, PARTS - 1), np.intp)


def surrounding_histogram(bins: Bins, box: Area, occupied: Mask) -> Histogram:
    """Colour histogram of the surroundings of a box, without pixels of objects.

    Args:
        bins: colour bin of each pixel, int (height, width).
        box: (x1, y1, x2, y2) in pixels, half-open.
        occupied: bool (height, width), pixels of any tracked object.
    """
    window = window_around(box, bins.shape, 0.25)
    return histogram(bins[window][~occupied[window]])
