"""Run-length encoding of masks on a GPU: only the ends of runs are copied to the host.

The instances equal those of `tasks.masks.instances.encode_mask`, which takes host masks and about 2 ms of CPU each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.masks.instances import Instance, mask_anchor

if TYPE_CHECKING:
    import torch

Integers = NDArray[np.int64]


class _Edges(NamedTuple):
    """One mask: pixels per column and row, and the ends of its runs in column order, with 0 first if it starts inside."""

    columns: Integers
    rows: Integers
    ends: Integers


def encode_stack(masks: torch.Tensor) -> list[Instance | None]:
    """Encode masks; None for an empty one.

    Args:
        masks: bool (objects, height, width), on any device; a stack of less than 2**31 pixels.
    """
    columns, rows = (masks.sum(dim=axis).cpu().numpy() for axis in (1, 2))
    flat = masks.transpose(1, 2).flatten(1)
    ends = (flat[:, 1:] != flat[:, :-1]).nonzero().cpu().numpy()
    inside = flat[:, 0].cpu().numpy()
    bounds = np.searchsorted(ends[:, 0], np.arange(len(masks) + 1))
    each = [ends[bounds[n] : bounds[n + 1], 1] + 1 for n in range(len(masks))]
    return [
        _instance(_Edges(columns[n], rows[n], np.concatenate([[0], each[n]]) if inside[n] else each[n]))
        for n in range(len(masks))
    ]


def _instance(edges: _Edges) -> Instance | None:
    area = int(edges.columns.sum())
    if area == 0:
        return None
    (x1, x2), (y1, y2) = _extent(edges.columns), _extent(edges.rows)
    anchor = _anchor(edges, area)
    if anchor is None:
        x, y = mask_anchor(_decoded(edges)[y1:y2, x1:x2])
        anchor = x + x1, y + y1
    return Instance(_counts(edges), (x1, y1, x2, y2), area, anchor)


def _extent(pixels: Integers) -> tuple[int, int]:
    """First index with pixels, and one past the last."""
    indices = np.flatnonzero(pixels)
    return int(indices[0]), int(indices[-1]) + 1


def _anchor(edges: _Edges, area: int) -> tuple[int, int] | None:
    """Centroid (x, y) of the mask in pixels; None if it is outside the mask."""
    x, y = (_centre(pixels, area) for pixels in (edges.columns, edges.rows))
    place = x * len(edges.rows) + y
    return (x, y) if np.searchsorted(edges.ends, place, side="right") % 2 else None


def _centre(pixels: Integers, area: int) -> int:
    """Centroid along one axis, rounded relative to the first pixel of the mask as in `mask_anchor`."""
    first = int(np.flatnonzero(pixels)[0])
    moment = int(pixels @ np.arange(len(pixels))) - first * area
    return first + int(moment / area + 0.5)


def _counts(edges: _Edges) -> bytes:
    from pycocotools import mask as coco

    height, width = len(edges.rows), len(edges.columns)
    runs = np.diff(edges.ends, prepend=0, append=height * width)
    size = [height, width]
    counts: bytes = coco.frPyObjects({"size": size, "counts": runs.tolist()}, height, width)["counts"]
    return counts


def _decoded(edges: _Edges) -> NDArray[np.bool_]:
    height, width = len(edges.rows), len(edges.columns)
    flips = np.zeros(height * width, np.int8)
    flips[edges.ends] = 1
    inside: NDArray[np.bool_] = (np.cumsum(flips) % 2).astype(np.bool_).reshape(width, height).T
    return np.ascontiguousarray(inside)
