"""Boxes, windows and masks of the flow tracker.

A box is float64 (4,), x1, y1, x2, y2 in pixels at the tracker's working size; it may extend beyond the image.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.masks.instances import Mask

Window = tuple[slice, slice]
Area = NDArray[np.float64]
Weights = NDArray[np.float32]


def window_around(box: Area, shape: Sequence[int], margin: float) -> Window:
    """Window of the image that contains a box with a margin.

    Args:
        box: (x1, y1, x2, y2) in pixels, half-open.
        shape: (height, width) of the image in pixels.
        margin: margin as a fraction of the longer side of the box.
    """
    pad = margin * max(box[2] - box[0], box[3] - box[1]) + 3
    x1, y1 = (max(0, int(v - pad)) for v in box[:2])
    x2, y2 = (max(0, min(size, int(v + pad) + 1)) for v, size in zip(box[2:], (shape[1], shape[0]), strict=True))
    return slice(min(y1, y2), y2), slice(min(x1, x2), x2)


def is_empty(window: Window) -> bool:
    """Whether a window has no pixel, as of a box that has left the picture."""
    return any(side.start >= side.stop for side in window)


def distance_penalty(box: Area, window: Window) -> Weights:
    """Penalty for pixels outside a box: 1 per tenth of its longer side, float32 of the window's shape.

    Args:
        box: (x1, y1, x2, y2) in pixels, half-open.
        window: rows and columns of the image.
    """
    x = np.arange(window[1].start, window[1].stop) + 0.5
    y = np.arange(window[0].start, window[0].stop) + 0.5
    far_x = np.maximum(np.maximum(box[0] - x, x - box[2]), 0)
    far_y = np.maximum(np.maximum(box[1] - y, y - box[3]), 0)
    tenth = 0.1 * max(box[2] - box[0], box[3] - box[1]) + 1
    return np.asarray(np.maximum(far_y[:, None], far_x[None, :]) / tenth, np.float32)


def boxes_touch(a: Area, b: Area) -> bool:
    """Whether two boxes overlap or are less than 2 pixels apart.

    Args:
        a: box in pixels.
        b: box in pixels.
    """
    return bool((a[:2] < b[2:] + 2).all() and (b[:2] < a[2:] + 2).all())


def enclosing_box(old: Area, part: Area) -> Area:
    """Move a box by the minimum that makes it contain the visible part, without changing its size.

    Args:
        old: box on the previous frame, pixels.
        part: tight box of the visible part, pixels.
    """
    size = old[2:] - old[:2]
    room = np.sort([part[2:] - size, part[:2]], axis=0)
    corner = np.clip(old[:2], room[0], room[1])
    return np.concatenate([corner, corner + size])


def clean_mask(mask: Mask, least: float) -> Mask:
    """Close small holes of a mask and remove connected parts of fewer than `least` pixels.

    Args:
        mask: bool (height, width).
        least: minimum number of pixels of a connected part.
    """
    import cv2

    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, cross)
    closed = cv2.morphologyEx(closed, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] >= least
    large[0] = False
    return np.asarray(large[labels], np.bool_)


def connected_parts(mask: Mask, propagated: Mask, score: Weights, partly_hidden: bool) -> Mask:
    """Parts of a mask that overlap the propagated mask; for a partly occluded object, parts with strong evidence too.

    Args:
        mask: bool (height, width).
        propagated: mask of the previous frame moved by the flow, bool (height, width).
        score: evidence for the object per pixel, float32 (height, width).
        partly_hidden: whether the object is partly occluded.
    """
    import cv2

    count, labels = cv2.connectedComponents(mask.view(np.uint8), connectivity=8)
    sizes = np.maximum(np.bincount(labels.ravel(), minlength=count), 1)
    keep = np.bincount(labels.ravel(), propagated.ravel(), count) / sizes > 0.25
    if partly_hidden:
        keep |= np.bincount(labels.ravel(), score.ravel(), count) / sizes > 0.8
    keep[0] = False
    return np.asarray(keep[labels], np.bool_)
