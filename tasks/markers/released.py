"""Options that reproduce the released STVG-R1 code where it differs from the paper; the defaults follow the paper.

In the released code, boxes are inclusive pixel extents (x2, y2 are the last pixel), the size filter compares with all objects
of a frame, labels start at their anchor instead of being centred on it, and all native frames vote for the answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from storage.rle import Mask
from tasks.masks.instances import Box, tight_box


def inclusive_box(mask: Mask) -> tuple[int, int, int, int] | None:
    """First and last column and row of a mask, pixels; None if it is empty."""
    box = tight_box(mask)
    return None if box is None else (box[0], box[1], box[2] - 1, box[3] - 1)


def anchor_point(mask: Mask) -> tuple[int, int]:
    """Anchor (x, y) of the released code for a non-empty mask: middle row of its extent, mean column of its pixels there."""
    x1, y1, x2, y2 = inclusive_box(mask) or (0, 0, 0, 0)
    y = (y1 + y2) // 2
    columns = np.flatnonzero(mask[y])
    return int(columns.mean()) if columns.size else (x1 + x2) // 2, y


def released_stroke(scale: float) -> int:
    """Stroke thickness in pixels at a font scale."""
    return max(2, int(2 * scale))


def released_size_filter(areas: Mapping[int, int], fraction: float = 1 / 3) -> list[int]:
    """IDs whose mask is at least a fraction of the largest mask of the frame.

    Args:
        areas: object ID -> mask area in pixels.
        fraction: minimum area as a fraction of the largest, in [0, 1].
    """
    largest = max(areas.values(), default=0)
    return [object_id for object_id, area in areas.items() if area >= fraction * largest]


def released_answer(kept: Mapping[int, Mapping[int, Box]], st_frame: int, truth: Sequence[Box]) -> int | None:
    """Answer ID by the vote of the released code.

    Args:
        kept: native frame -> ID -> inclusive box, of the objects that pass the filter.
        st_frame: annotated start frame, interpreted as the 0-based frame of the first true box.
        truth: true boxes as corners, one per frame.

    Returns:
        The ID with the most votes, the first one on a tie; None if no object overlaps on any frame.
    """
    votes: Counter[int] = Counter()
    for offset, true in enumerate(truth):
        ious = {object_id: plus_one_iou(true, box) for object_id, box in kept.get(st_frame + offset, {}).items()}
        best = max(ious, key=lambda i: ious[i], default=None)
        if best is not None and ious[best] > 0:
            votes[best] += 1
    return votes.most_common(1)[0][0] if votes else None


def plus_one_iou(a: Box, b: Box) -> float:
    """IoU of boxes with inclusive x2 and y2, whose sides are longer by one.

    Args:
        a: (x1, y1, x2, y2) in pixels, closed.
        b: (x1, y1, x2, y2) in pixels, closed.
    """
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]) + 1)
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]) + 1)
    areas = sum((box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b))
    return width * height / (areas - width * height)
