"""Motion between two frames, and which part of it the camera made. Flow is float32 (height, width, 2) in pixels, x first."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Flow = NDArray[np.float32]
Gray = NDArray[np.uint8]
GRID = 6
"""Every so many pixels, in both directions, votes for the motion of the camera."""


@lru_cache(maxsize=2)
def _dis(fast: bool) -> Any:
    import cv2

    preset = cv2.DISOPTICAL_FLOW_PRESET_FAST if fast else cv2.DISOPTICAL_FLOW_PRESET_MEDIUM
    return cv2.DISOpticalFlow_create(preset)


def flow_between(before: Gray, after: Gray, fast: bool = True) -> Flow:
    """Where each pixel of `before`, uint8 (height, width), has gone in `after`."""
    return np.asarray(_dis(fast).calc(before, after, None), np.float32)


def camera_flow(flow: Flow) -> Flow:
    """The affine motion that most of the picture shares; zero where there is none to be found."""
    import cv2

    height, width = flow.shape[:2]
    y, x = np.mgrid[GRID // 2 : height : GRID, GRID // 2 : width : GRID]
    here = np.stack([x, y], axis=-1).reshape(-1, 2).astype(np.float32)
    there = here + flow[y, x].reshape(-1, 2)
    affine, _ = cv2.estimateAffine2D(here, there, ransacReprojThreshold=1.0, maxIters=200, confidence=0.99)
    if affine is None:
        return np.zeros_like(flow)
    ys, xs = np.mgrid[:height, :width].astype(np.float32)
    a = affine.astype(np.float32)
    return np.stack([(a[0, 0] - 1) * xs + a[0, 1] * ys + a[0, 2], a[1, 0] * xs + (a[1, 1] - 1) * ys + a[1, 2]], axis=-1)


def own_motion(flow: Flow) -> NDArray[np.float32]:
    """Length of what is left of the flow without the camera's part, float32 (height, width), pixels."""
    rest = flow - camera_flow(flow)
    return np.asarray(np.hypot(rest[..., 0], rest[..., 1]), np.float32)


def work_size(height: int, width: int, longest: int) -> tuple[int, int]:
    """(width, height) of a frame scaled down so that its longest side is at most `longest` pixels."""
    scale = min(1.0, longest / max(height, width))
    return max(16, round(width * scale)), max(16, round(height * scale))
