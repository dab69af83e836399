"""Background model: an image of the background that follows the camera and is completed as it becomes visible."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.masks.instances import Mask
from tasks.tracking.prepared_frame import PreparedFrame
from tasks.video.motion import Affine, Flow, camera_motion
from tasks.video.reader import Frames

Change = NDArray[np.float32]
SAME, SPREAD = 16.0, 10.0
"""Colour difference at which background and object are equally likely, and scale of the transition."""


class BackgroundModel:
    """The visible background so far, aligned with the current frame."""

    def __init__(self, first: PreparedFrame) -> None:
        self._rgb = first.rgb.copy()
        self._known = np.ones(first.gray.shape, np.uint8)
        self._differ = np.zeros(first.gray.shape, np.float32)
        self.camera: Affine = np.eye(2, 3, dtype=np.float32)
        """Camera motion of the last step, affine (2, 3)."""

    def exclude(self, mask: Mask) -> None:
        """Remove the pixels of an object from the model."""
        import cv2

        self._known[cv2.dilate(mask.view(np.uint8), np.ones((7, 7), np.uint8)) > 0] = 0

    def step(self, following: PreparedFrame, flow: Flow) -> Change:
        """Align the model with the next frame.

        Args:
            following: the next frame.
            flow: flow from the current to the next frame, float32 (height, width, 2) in pixels, x first.

        Returns:
            Difference of each pixel from the background, float32 (height, width), from -1.5 (equal) to 1.5; NaN where no
            background has been seen yet.
        """
        import cv2

        camera, size = camera_motion(flow), following.gray.shape[::-1]
        self.camera = camera
        self._rgb = cv2.warpAffine(self._rgb, camera, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        self._known = cv2.warpAffine(self._known, camera, size, flags=cv2.INTER_NEAREST, borderValue=0)
        self._differ = colour_difference(self._rgb, following.rgb)
        return np.where(self._known > 0, np.clip((self._differ - SAME) / SPREAD, -1.5, 1.5), np.float32(np.nan))

    def update(self, current: PreparedFrame, occupied: Mask) -> None:
        """Update the model with visible background, at once where it matches and slowly where an unknown object may pass.

        Args:
            current: the current frame.
            occupied: bool (height, width), pixels of any tracked object.
        """
        import cv2

        free = cv2.dilate(occupied.view(np.uint8), np.ones((7, 7), np.uint8)) == 0
        sure = free & ((self._differ < SAME) | (self._known == 0))
        slow = cv2.addWeighted(self._rgb, 0.9, current.rgb, 0.1, 0)
        cv2.copyTo(slow, (free & ~sure).view(np.uint8), self._rgb)
        cv2.copyTo(current.rgb, sure.view(np.uint8), self._rgb)
        self._known[free] = 1


def colour_difference(a: Frames, b: Frames) -> Change:
    """Locally averaged colour difference of two images on the channel that differs most; float32 (height, width).

    Args:
        a: uint8 (height, width, 3), RGB.
        b: uint8 of the same shape.
    """
    import cv2

    red, green, blue = cv2.split(cv2.absdiff(a, b))
    return np.asarray(cv2.blur(cv2.max(cv2.max(red, green), blue), (3, 3)), np.float32)
