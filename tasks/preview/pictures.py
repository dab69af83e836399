"""Images of a page: thumbnails with mask outlines, and rendered frames.

Masks are vector paths over a plain JPEG, drawn by the browser: they are sharp at any size, and can be highlighted.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from storage.rle import Mask, decode_counts
from storage.rows import MaskRow
from tasks.video.jpeg import encode_jpeg
from tasks.video.reader import Frames

THUMB_WIDTH_PX = 480
_THUMB_QUALITY = 70
_SHRUNK_HEIGHT_PX = 176
_SHRUNK_QUALITY = 66


class ObjectOutline(NamedTuple):
    """Outline of an object on an image.

    Attributes:
        object_id: ID of the object.
        path: SVG path of the outline in pixels of the image; holes follow the even-odd rule.
        x, y: where its ID is written.
    """

    object_id: int
    path: str
    x: float
    y: float


class PagePicture(NamedTuple):
    """A JPEG image of a page.

    Attributes:
        data: JPEG bytes in base64.
        width, height: pixels.
        frame_index: 0-based native frame index.
        time_s: seconds from the start of the video.
        shapes: outlines drawn over the image.
    """

    data: str
    width: int
    height: int
    frame_index: int
    time_s: float
    shapes: Sequence[ObjectOutline] = ()


def thumb_size(width: int, height: int) -> tuple[int, int]:
    """(width, height) in pixels of the thumbnail of a native frame, never larger than the frame.

    Args:
        width: native width in pixels.
        height: native height in pixels.
    """
    scale = min(1.0, THUMB_WIDTH_PX / max(width, height))
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def thumbnail(
    image: Frames, frame_index: int, time_s: float, instances: Iterable[MaskRow], native: tuple[int, int]
) -> PagePicture:
    """Thumbnail of a frame with the outlines of its objects.

    Args:
        image: uint8 (height, width, 3), RGB, at the thumbnail's size.
        frame_index: 0-based native frame index.
        time_s: seconds from the start of the video.
        instances: rows of that frame in the masks table.
        native: (width, height) of the native frame, whose pixels the masks refer to.
    """
    height, width = image.shape[:2]
    scale = width / native[0], height / native[1]
    shapes = []
    for row in instances:
        path = outline(decode_counts(row["rle_counts"], native[1], native[0]), (width, height))
        x, y = (row["anchor_x"] + 0.5) * scale[0], (row["anchor_y"] + 0.5) * scale[1]
        shapes.append(ObjectOutline(row["object_id"], path, round(x, 1), round(y, 1)))
    return PagePicture(
        data=_base64(encode_jpeg(image, _THUMB_QUALITY)),
        width=width,
        height=height,
        frame_index=frame_index,
        time_s=time_s,
        shapes=shapes,
    )


def outline(mask: Mask, size: tuple[int, int]) -> str:
    """SVG path around a mask, in pixels of an image of `size`; empty for an empty mask.

    Args:
        mask: bool (height, width).
        size: (width, height) in pixels.
    """
    import cv2

    scale = np.array(size) / mask.shape[::-1]
    contours, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    # Points that move the line by less than half a pixel of the image are omitted.
    rings = (cv2.approxPolyDP(contour, 0.5 / float(scale.min()), closed=True)[:, 0] for contour in contours)
    return "".join(_ring((points + 0.5) * scale) for points in rings)


def _ring(points: NDArray[np.float64]) -> str:
    return "M" + "L".join(f"{round(x, 1):g} {round(y, 1):g}" for x, y in points.tolist()) + "Z"


def stored_picture(jpeg: bytes, frame_index: int, time_s: float, size: tuple[int, int]) -> PagePicture:
    """Rendered frame with its stored JPEG bytes.

    Args:
        jpeg: JPEG bytes.
        frame_index: 0-based native frame index.
        time_s: seconds from the start of the video.
        size: (width, height) in pixels.
    """
    return PagePicture(data=_base64(jpeg), width=size[0], height=size[1], frame_index=frame_index, time_s=time_s)


def downscaled_picture(jpeg: bytes, frame_index: int, time_s: float) -> PagePicture:
    """Rendered frame at smaller size and lower quality, for pages that would be too large otherwise.

    Args:
        jpeg: JPEG bytes.
        frame_index: 0-based native frame index.
        time_s: seconds from the start of the video.
    """
    image = decode_jpeg(jpeg)
    height, width = image.shape[:2]
    scale = min(1.0, _SHRUNK_HEIGHT_PX / height)
    image = resize_image(image, (max(1, round(width * scale)), max(1, round(height * scale))))
    return PagePicture(
        data=_base64(encode_jpeg(image, _SHRUNK_QUALITY)),
        width=image.shape[1],
        height=image.shape[0],
        frame_index=frame_index,
        time_s=time_s,
    )


def resize_image(image: Frames, size: tuple[int, int]) -> Frames:
    """Resize an image, uint8 (height, width, 3).

    Args:
        image: uint8 (height, width, 3), RGB.
        size: (width, height) in pixels.
    """
    import cv2

    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def decode_jpeg(jpeg: bytes) -> Frames:
    """RGB frame, uint8 (height, width, 3), of JPEG bytes."""
    import cv2

    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
