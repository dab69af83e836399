"""JPEG encoding of frames."""

from __future__ import annotations

from tasks.video.reader import Frames


def encode_jpeg(image: Frames, quality: int) -> bytes:
    """JPEG of a frame, uint8 (height, width, 3), RGB. Chroma is kept whole: red strokes blur without it.

    Args:
        image: uint8 (height, width, 3), RGB.
        quality: JPEG quality, 1 to 100.
    """
    import cv2

    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    ok, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    assert ok
    return bytes(data)
