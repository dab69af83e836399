"""Person masks inside detected boxes, by MediaPipe's selfie segmentation through OpenCV (Apache-2.0)."""

from __future__ import annotations

from typing import Any

import numpy as np

from tasks.masks.instances import Box, Mask
from tasks.pretrained.models import PERSON_MASK
from tasks.video.reader import Frames
from tasks.weights import Weights, verify_installed

INPUT_PX = 256
"""Side of the square image that the model sees."""
MARGIN = 0.1
"""Margin around a box as a share of its sides, so that the model sees the outline of the person."""
OUTSIDE = 0.05
"""Share of the sides of a box by which a mask may exceed it."""


class PersonSegmenter:
    """Segments the person in a box.

    Raises:
        WeightsError: the file is missing, or is not the expected one.
    """

    def __init__(self, weights: Weights) -> None:
        import cv2

        verify_installed(weights, PERSON_MASK)
        self._network: Any = cv2.dnn.readNetFromTFLite(str(weights.path))

    def mask(self, picture: Frames, box: Box) -> Mask:
        """Mask of the person in a box; it may be empty.

        Args:
            picture: uint8 (height, width, 3), RGB.
            box: (x1, y1, x2, y2) in pixels of the picture.

        Returns:
            bool (height, width).
        """
        import cv2

        mask = np.zeros(picture.shape[:2], np.bool_)
        x1, y1, x2, y2 = padded(box, MARGIN, picture.shape[0], picture.shape[1])
        if x2 - x1 < 2 or y2 - y1 < 2:
            return mask
        crop = cv2.resize(picture[y1:y2, x1:x2], (INPUT_PX, INPUT_PX), interpolation=cv2.INTER_LINEAR)
        self._network.setInput(np.ascontiguousarray(crop.transpose(2, 0, 1)[None].astype(np.float32) / 255))
        chance = np.asarray(self._network.forward(), np.float32).reshape(INPUT_PX, INPUT_PX)
        mask[y1:y2, x1:x2] = cv2.resize(chance, (x2 - x1, y2 - y1), interpolation=cv2.INTER_LINEAR) >= 0.5
        left, top, right, bottom = padded(box, OUTSIDE, picture.shape[0], picture.shape[1])
        inside = np.zeros_like(mask)
        inside[top:bottom, left:right] = mask[top:bottom, left:right]
        return inside


def padded(box: Box, margin: float, height: int, width: int) -> tuple[int, int, int, int]:
    """A box with a margin, rounded to pixels and clipped to the image.

    Args:
        box: (x1, y1, x2, y2) in pixels.
        margin: margin on each side, as a share of width and height of the box.
        height: height of the image in pixels.
        width: width of the image in pixels.
    """
    x1, y1, x2, y2 = box
    wide, high = margin * (x2 - x1), margin * (y2 - y1)
    left, top = max(0, round(x1 - wide)), max(0, round(y1 - high))
    return left, top, min(width, round(x2 + wide)), min(height, round(y2 + high))
