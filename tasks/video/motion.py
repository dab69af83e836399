"""Optical flow between two frames and its camera component. Flow is float32 (height, width, 2) in pixels, x first."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Flow = NDArray[np.float32]
Gray = NDArray[np.uint8]
Affine = NDArray[np.float32]
CAMERA_GRID_PX = 9
"""Distance in pixels, in both directions, between the flow vectors from which camera motion is estimated."""


@lru_cache(maxsize=2)
def _dis(fast: bool) -> Any:
    import cv2

    if not fast:
        return cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    # Half the image size instead of a quarter: limbs are a few pixels wide.
    dis.setFinestScale(1)
    return dis


def optical_flow(before: Gray, after: Gray, fast: bool = True) -> Flow:
    """Dense optical flow from `before` to `after` (DIS), float32 (height, width, 2).

    Args:
        before: uint8 (height, width), the earlier frame.
        after: uint8 of the same shape, the later frame.
        fast: whether a coarser, faster preset is used.
    """
    return np.asarray(_dis(fast).calc(before, after, None), np.float32)


def camera_motion(flow: Flow) -> Affine:
    """Affine camera motion, float32 (2, 3), estimated from the flow by RANSAC; the identity if the estimate fails."""
    import cv2

    height, width = flow.shape[:2]
    y, x = np.mgrid[CAMERA_GRID_PX // 2 : height : CAMERA_GRID_PX, CAMERA_GRID_PX // 2 : width : CAMERA_GRID_PX]
    points = np.stack([x, y], axis=-1).reshape(-1, 2).astype(np.float32)
    moved = points + flow[y, x].reshape(-1, 2)
    affine, _ = cv2.estimateAffine2D(points, moved, ransacReprojThreshold=1.0, maxIters=200, confidence=0.99)
    return np.eye(2, 3, dtype=np.float32) if affine is None else affine.astype(np.float32)


def residual_flow(flow: Flow, camera: Affine, left: int = 0, top: int = 0) -> Flow:
    """Flow minus the camera motion.

    Args:
        flow: optical flow, float32 (height, width, 2) in pixels, x first.
        camera: camera motion, affine (2, 3).
        left: column of the flow's first pixel in the full image.
        top: row of the flow's first pixel in the full image.
    """
    x = np.arange(left, left + flow.shape[1], dtype=np.float32)[None, :]
    y = np.arange(top, top + flow.shape[0], dtype=np.float32)[:, None]
    own = np.empty_like(flow)
    own[..., 0] = flow[..., 0] - ((camera[0, 0] - 1) * x + camera[0, 1] * y + camera[0, 2])
    own[..., 1] = flow[..., 1] - (camera[1, 0] * x + (camera[1, 1] - 1) * y + camera[1, 2])
    return own


def flow_magnitude(flow: Flow) -> NDArray[np.float32]:
    """Length of each flow vector in pixels, float32 (height, width)."""
    return np.asarray(np.hypot(flow[..., 0], flow[..., 1]), np.float32)


def working_size(height: int, width: int, longest: int) -> tuple[int, int]:
    """(width, height) of a frame scaled down so that its longer side is at most `longest` pixels; at least 16 each.

    Args:
        height: height of the image in pixels.
        width: width of the image in pixels.
        longest: maximum length of the longer side in pixels.
    """
    scale = min(1.0, longest / max(height, width))
    return max(16, round(width * scale)), max(16, round(height * scale))
