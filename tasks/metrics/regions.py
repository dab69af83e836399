"""Region similarity J and contour accuracy F of masks, as DAVIS and MeViS compute them per frame."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from storage.rle import Mask

_BOUNDARY_TOLERANCE = 0.008
"""Maximum distance of matching contour pixels as a fraction of the frame's diagonal."""


def j_and_f(truth: Mask, predicted: Mask) -> tuple[float, float]:
    """Region similarity J and contour accuracy F of one frame, each in [0, 1].

    Two empty masks score 1 and 1.

    Args:
        truth: true mask, bool (height, width).
        predicted: predicted mask of the same shape.
    """
    return region_similarity(truth, predicted), contour_accuracy(truth, predicted)


def region_similarity(truth: Mask, predicted: Mask) -> float:
    """Intersection over union of two masks; 1 if both are empty.

    Args:
        truth: true mask, bool (height, width).
        predicted: predicted mask of the same shape.
    """
    union = np.count_nonzero(truth | predicted)
    return float(np.count_nonzero(truth & predicted) / union) if union else 1.0


def contour_accuracy(truth: Mask, predicted: Mask) -> float:
    """F measure of contour pixels that are within 0.8 % of the diagonal of the other contour.

    Args:
        truth: true mask, bool (height, width).
        predicted: predicted mask of the same shape.
    """
    import cv2

    true_line, predicted_line = contour(truth), contour(predicted)
    true_count, predicted_count = np.count_nonzero(true_line), np.count_nonzero(predicted_line)
    if not true_count or not predicted_count:
        return float(true_count == predicted_count)
    disk = _disk(math.ceil(_BOUNDARY_TOLERANCE * math.hypot(*truth.shape)))
    near_true, near_predicted = (cv2.dilate(line.view(np.uint8), disk).view(np.bool_) for line in (true_line, predicted_line))
    precision = np.count_nonzero(predicted_line & near_true) / predicted_count
    recall = np.count_nonzero(true_line & near_predicted) / true_count
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def contour(mask: Mask) -> NDArray[np.bool_]:
    """Pixels that differ from the pixel to the right, below, or below right; the image is padded with its edge."""
    padded = np.pad(np.ascontiguousarray(mask), ((0, 1), (0, 1)), mode="edge")
    here = padded[:-1, :-1]
    line: NDArray[np.bool_] = (here != padded[:-1, 1:]) | (here != padded[1:, :-1]) | (here != padded[1:, 1:])
    return line


def _disk(radius: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    inside: NDArray[np.bool_] = x * x + y * y <= radius * radius
    return inside.astype(np.uint8)
