"""Segmentation of a box by motion and by colours that its surroundings lack."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.masks.instances import Mask, tight_box
from tasks.tracking.colour import histogram, log_likelihood_ratio
from tasks.tracking.prepared_frame import PreparedFrame
from tasks.tracking.regions import clean_mask

FRESH_SHARE, FRESH_HEIGHT = 0.35, 0.65
"""Minimum share of area and of height outside a known object for a region to be split into that object and a new one."""


def segment_box(here: PreparedFrame, box: NDArray[np.float64], moving: NDArray[np.float32], covered: Mask) -> Mask:
    """Segment the object in a box by its motion and by colours that the surroundings lack.

    Args:
        here: the frame, at working size.
        box: (x1, y1, x2, y2) in pixels at working size.
        moving: residual motion of each pixel, pixels.
        covered: pixels inside any detected box, which are not used as background.
    """
    import cv2

    x1, y1, x2, y2 = box
    y, x = np.mgrid[: moving.shape[0], : moving.shape[1]]
    # 1 at the centre of the box, 0 at its edges, negative outside.
    depth = 1 - np.maximum(np.abs(2 * (x + 0.5 - x1) / (x2 - x1) - 1), np.abs(2 * (y + 0.5 - y1) / (y2 - y1) - 1))
    prior = np.clip(3 * depth, -4, 0.6) - 0.3
    motion = np.clip(2 * (moving - 0.6), -1, 1)
    near = (depth > -0.5) & ~covered
    around = histogram(here.bins[near] if near.sum() > 50 else here.bins[~covered])
    mask = (depth > 0.15) & (moving > 0.6)
    if mask.sum() < 0.15 * (depth > 0).sum():
        mask = depth > 0.35
    for _ in range(3):
        colour = cv2.blur(log_likelihood_ratio(histogram(here.bins[mask]), around)[here.bins], (3, 3))
        mask = (prior + motion + 0.8 * colour > 0) & (depth > -0.1)
    return clean_mask(mask, 0.05 * float(mask.sum()))


def untracked_part(mask: Mask, tracked: Mask) -> Mask:
    """Part of a mask outside tracked objects if that part is large; otherwise the whole mask.

    Two people close together are one moving region: without the tracked part, the rest is a new object, while the whole region
    would match the tracked one. A small rest is only the edge of the tracked object.

    Args:
        mask: bool (height, width).
        tracked: union of the masks of tracked objects, of the same shape.
    """
    import cv2

    near = cv2.dilate(tracked.view(np.uint8), np.ones((5, 5), np.uint8)) > 0
    rest = clean_mask(mask & ~near, 0.15 * float(np.count_nonzero(mask)))
    box, whole = tight_box(rest), tight_box(mask)
    if box is None or whole is None or np.count_nonzero(rest) < FRESH_SHARE * np.count_nonzero(mask):
        return mask
    return rest if box[3] - box[1] > FRESH_HEIGHT * (whole[3] - whole[1]) else mask
