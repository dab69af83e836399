"""What is behind the objects: a picture of the background that moves with the camera and is filled in as it shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.masks.instances import Mask
from tasks.tracking.prepared_frame import PreparedFrame
from tasks.video.motion import Affine, Flow, camera_motion
from tasks.video.reader import Frames

Change = NDArray[np.float32]
SAME, SPREAD = 16.0, 10.0
"""A pixel this far from the background, on the channel that differs most, could be either; and how fast doubt fades."""


class BackgroundModel:
    """The background as far as it has been seen, in the place of the current frame."""

    def __init__(self, first: PreparedFrame) -> None:
        self._rgb = first.rgb.copy()
        self._known = np.ones(first.gray.shape, np.uint8)
        self._differ = np.zeros(first.gray.shape, np.float32)
        self.camera: Affine = np.eye(2, 3, dtype=np.float32)
        """How the camera moved the picture with the last step."""

    def forget(self, mask: Mask) -> None:
        """Leave out what turned out to be an object."""
        import cv2

        self._known[cv2.dilate(mask.view(np.uint8), np.ones((7, 7), np.uint8)) > 0] = 0

    def step(self, following: PreparedFrame, flow: Flow) -> Change:
        """Follow the camera to the next frame.

        Args:
            following: the next frame.
            flow: flow from the current to the next frame, float32 (height, width, 2) in pixels, x first.

        Returns:
            How unlike the background each pixel is, float32 (height, width) from -1.5 (the same) to 1.5; NaN where no
            background has been seen yet.
        """
        import cv2

        camera, size = camera_motion(flow), following.gray.shape[::-1]
        self.camera = camera
        self._rgb = cv2.warpAffine(self._rgb, camera, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        self._known = cv2.warpAffine(self._known, camera, size, flags=cv2.INTER_NEAREST, borderValue=0)
        self._differ = colour_difference(self._rgb, following.rgb)
        return np.where(self._known > 0, np.clip((self._differ - SAME) / SPREAD, -1.5, 1.5), np.float32(np.nan))

    def learn(self, current: PreparedFrame, occupied: Mask) -> None:
        """Take over what shows of the background: at once where it fits, slowly where something unknown may pass.

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
    """How far two pictures are apart on the channel that differs most, about each pixel; float32 (height, width).

    Args:
        a: uint8 (height, width, 3), RGB.
        b: uint8 of the same shape.
    """
    import cv2

    red, green, blue = cv2.split(cv2.absdiff(a, b))
    return np.asarray(cv2.blur(cv2.max(cv2.max(red, green), blue), (3, 3)), np.float32)
