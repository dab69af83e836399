"""Instance masks as COCO run-length codes, with box, area and marker anchor, so that later stages need not decode them.

A mask is bool (height, width). A box is (x1, y1, x2, y2) in pixels, half-open: x2 and y2 are one past the last pixel. Masks of
one frame may overlap, so there is no label map.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from storage.rle import Mask, encode_counts

__all__ = [
    "Box",
    "Instance",
    "Mask",
    "box_iou",
    "box_ious",
    "encode_mask",
    "intersections",
    "mask_anchor",
    "mask_iou",
    "tight_box",
]

Box = tuple[float, float, float, float]


class Instance(NamedTuple):
    """One object on one frame, as stored in the mask database.

    Attributes:
        counts: COCO compressed run-length code of the mask.
        box: tight box, pixels, half-open.
        area: pixels in the mask, at least 1.
        anchor: (x, y) of the pixel inside the mask at which a marker is centred.
    """

    counts: bytes
    box: tuple[int, int, int, int]
    area: int
    anchor: tuple[int, int]


def encode_mask(mask: Mask) -> Instance | None:
    """Encode a mask, bool (height, width); None if it is empty."""
    box = tight_box(mask)
    if box is None:
        return None
    counts = encode_counts(mask)
    x1, y1, x2, y2 = box
    crop = mask[y1:y2, x1:x2]
    x, y = mask_anchor(crop)
    return Instance(counts, box, int(np.count_nonzero(crop)), (x + x1, y + y1))


def tight_box(mask: Mask) -> tuple[int, int, int, int] | None:
    """Tight half-open box of a mask in pixels; None if the mask is empty."""
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return None
    y1, y2 = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(mask[y1:y2].any(axis=0))
    return int(columns[0]), y1, int(columns[-1]) + 1, y2


def mask_anchor(mask: Mask) -> tuple[int, int]:
    """(x, y) of a pixel inside a non-empty mask: its centroid (section 3.2), or its innermost pixel if that is outside."""
    import cv2

    moments = cv2.moments(mask.view(np.uint8), binaryImage=True)
    x, y = int(moments["m10"] / moments["m00"] + 0.5), int(moments["m01"] / moments["m00"] + 0.5)
    if y < mask.shape[0] and x < mask.shape[1] and mask[y, x]:
        return x, y
    distance = cv2.distanceTransform(np.pad(mask.view(np.uint8), 1), cv2.DIST_L1, 3)
    row, column = np.unravel_index(int(distance.argmax()), distance.shape)
    return int(column) - 1, int(row) - 1


def mask_iou(a: Mask, b: Mask) -> float:
    """Intersection over union of two masks; 0 if both are empty.

    Args:
        a: bool (height, width).
        b: bool of the same shape.
    """
    union = np.count_nonzero(a | b)
    return float(np.count_nonzero(a & b) / union) if union else 0.0


def intersections(a: Sequence[Instance], b: Sequence[Instance], shape: tuple[int, int]) -> NDArray[np.float64]:
    """Pairwise intersection areas in pixels of instances of one frame, float64 (len(a), len(b)), without decoding.

    Args:
        a: instances of one frame.
        b: instances of the same frame.
        shape: (height, width) of the image in pixels.
    """
    from pycocotools import mask as coco

    if not a or not b:
        return np.zeros((len(a), len(b)))
    codes = [[{"size": list(shape), "counts": instance.counts} for instance in some] for some in (a, b)]
    # With `iscrowd`, coco.iou divides the intersection by the area of the first mask of a pair.
    shares: NDArray[np.float64] = np.asarray(coco.iou(codes[0], codes[1], [1] * len(b)))
    return np.round(shares * np.array([[instance.area] for instance in a], np.float64))


def box_iou(a: Box, b: Box) -> float:
    """Intersection over union of two half-open boxes; 0 if the union is empty.

    Args:
        a: (x1, y1, x2, y2) in pixels, half-open.
        b: (x1, y1, x2, y2) in pixels, half-open.
    """
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    inter = max(width, 0.0) * max(height, 0.0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter
    return inter / union if union > 0 else 0.0


def contained_share(a: Box, b: Box) -> float:
    """Intersection of two boxes as a share of the smaller one.

    Args:
        a: (x1, y1, x2, y2) in pixels.
        b: box in the same pixels.
    """
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return width * height / smaller if min(width, height) > 0 and smaller > 0 else 0.0


def box_ious(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """IoU of two arrays of half-open boxes, row by row; 0 where the union is empty.

    Args:
        a: float64 (n, 4), pixels, half-open.
        b: float64 (n, 4), pixels, half-open.
    """
    sides = np.maximum(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0.0)
    inter = sides[:, 0] * sides[:, 1]
    union = np.prod(a[:, 2:] - a[:, :2], axis=1) + np.prod(b[:, 2:] - b[:, :2], axis=1) - inter
    ious: NDArray[np.float64] = np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)
    return ious
