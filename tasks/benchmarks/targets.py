"""True boxes of annotations: conversion of corners, and targets whose boxes are clipped to the image."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tasks.benchmarks.reading import finite_number
from tasks.benchmarks.samples import Target
from tasks.masks.instances import Box
from tasks.video.reader import MAX_FRAME_COUNT


def corners_from_xywh(box: Any) -> Box:
    """Convert x, y, width, height to x1, y1, x2, y2; another value raises `ValueError`."""
    if not isinstance(box, (list, tuple)) or len(box) != 4:
        raise ValueError(f"a box must be four numbers x, y, width, height, not {box!r:.40}")
    x, y, width, height = (finite_number(value) for value in box)
    return x, y, x + width, y + height


def clipped_target(frames: Iterable[int], boxes: Iterable[Box], size: tuple[int, int] | None) -> tuple[Target, int]:
    """Target with boxes clipped to the image, and the number of boxes that extended beyond it.

    Args:
        frames: native frame indices.
        boxes: box on each of these frames, pixels, half-open.
        size: (width, height) of the image in pixels; None to keep boxes as they are.
    """
    at = np.fromiter(frames, np.int64)
    raw = np.asarray([*boxes], np.float64).reshape(-1, 4)
    if len(at) != len(raw) or not np.isfinite(raw).all() or (np.diff(at) <= 0).any() or (at < 0).any():
        raise ValueError("frames and boxes must be equally many, finite, and in ascending order from frame 0")
    if len(at) and at[-1] > MAX_FRAME_COUNT:
        raise ValueError(f"frame {at[-1]} exceeds the maximum frame index")
    if (raw[:, 2:] < raw[:, :2]).any():
        raise ValueError("a box has a negative width or height")
    if size is None:
        return Target(at, raw), 0
    boxes_inside = np.clip(raw, 0, [size[0], size[1], size[0], size[1]])
    return Target(at, boxes_inside), int((boxes_inside != raw).any(axis=1).sum())
