"""Object markers: selection by size, placement, and drawing of labels (section 3.2, Tables 5 and 6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.markers.config import Anchor, Filter
from tasks.markers.labels import Style, label_of
from tasks.markers.released import released_stroke
from tasks.masks.instances import Box
from tasks.video.reader import Frames

RED = (255, 0, 0)
"""Marker colour, RGB."""
_PAPER_DIGIT_HEIGHT_PX = 22.0
"""Height of a digit at font scale 1 in the released code, including the stroke."""
_DIGIT_HEIGHT_PX = 20.8
"""Height of a digit at font scale 1 here, measured."""
_FAINT = 40
"""Coverage, of 255, below which a pixel is not part of the glyph."""


class Candidate(NamedTuple):
    """An object on a frame with what markers and answers need, in native pixels."""

    object_id: int
    category: str
    area: int
    anchor: tuple[float, float]
    box: Box


class Marker(NamedTuple):
    """A drawn marker; (x, y) is its centre in pixels of the rendered frame."""

    object_id: int
    label: str
    x: float
    y: float


def digit_height_px(size: float, long_side_px: int) -> float:
    """Height of a digit of the paper's font size on a frame whose longer side is `long_side_px`.

    The released code draws with font scale size / 30 * long side / 336, at which a digit is 22 px times that scale high: size
    20 is 15.9 px on a frame of 364x196.

    Args:
        size: font size as in Table 5 of the paper, 5 to 80.
        long_side_px: longer side of the rendered frame in pixels.
    """
    return _PAPER_DIGIT_HEIGHT_PX * size / 30 * long_side_px / 336


def filter_by_size(candidates: Sequence[Candidate], theta: float, among: Filter = "category") -> list[Candidate]:
    """Objects of a frame whose mask is at least `theta` times the largest of its category there, or of the frame.

    Args:
        candidates: objects of one frame.
        theta: minimum mask area as a fraction of the largest, in [0, 1].
        among: `category` compares masks of one category, `all` those of the frame.
    """
    largest: dict[str, int] = {}
    for c in candidates:
        kind = c.category if among == "category" else ""
        largest[kind] = max(largest.get(kind, 0), c.area)
    return [c for c in candidates if c.area >= theta * largest[c.category if among == "category" else ""]]


def place_markers(
    candidates: Iterable[Candidate],
    scale: tuple[float, float],
    size: tuple[int, int],
    height_px: float,
    style: Style = "numbers",
    anchor: Anchor = "centroid",
) -> list[Marker]:
    """Marker of each object.

    Args:
        candidates: objects of one frame, native pixels.
        scale: rendered size over native size, (x, y).
        size: (width, height) of the rendered frame in pixels.
        height_px: digit height in pixels.
        style: style of the labels.
        anchor: `centroid` centres labels on their anchor; `released` places their bottom left corner there.

    Returns:
        Markers centred on the anchors and moved inwards where they would leave the frame; released ones are clipped instead.
    """
    markers = []
    for c in candidates:
        label = label_of(c.object_id, style)
        h, w = glyph(label, height_px, anchor).shape
        x, y = ((a + 0.5) * s for a, s in zip(c.anchor, scale, strict=True))
        if anchor == "released":
            markers.append(Marker(c.object_id, label, x + w / 2, y - h / 2))
        else:
            markers.append(Marker(c.object_id, label, _inside(x, w, size[0]), _inside(y, h, size[1])))
    return markers


def _inside(centre: float, extent: int, limit: int) -> float:
    return min(max(centre, extent / 2), max(limit - extent / 2, extent / 2))


def draw_markers(image: Frames, markers: Iterable[Marker], height_px: float, anchor: Anchor = "centroid") -> None:
    """Draw markers on a frame in place.

    Args:
        image: uint8 (height, width, 3), RGB.
        markers: markers in pixels of the frame.
        height_px: digit height in pixels.
        anchor: `centroid`, or `released` for the released code's position.
    """
    for marker in markers:
        alpha = glyph(marker.label, height_px, anchor)
        h, w = alpha.shape
        x, y = round(marker.x - w / 2), round(marker.y - h / 2)
        under = image[max(y, 0) : y + h, max(x, 0) : x + w]
        cover = alpha[max(-y, 0) :, max(-x, 0) :][: under.shape[0], : under.shape[1], None]
        under[:] = np.rint(under * (1 - cover) + np.array(RED) * cover).astype(np.uint8)


@lru_cache(maxsize=4096)
def glyph(label: str, height_px: float, anchor: Anchor = "centroid") -> NDArray[np.float32]:
    """Coverage of the pixels of a label, float32 (height, width) in [0, 1], cropped to its ink, with digits `height_px` high.

    Strokes are an eighth of the height thick, or as thick as in the released code. The ink is measured, since font metrics
    differ between OpenCV versions.

    Args:
        label: text to draw.
        height_px: digit height in pixels.
        anchor: `centroid`, or `released` for the released code's position.
    """
    import cv2

    scale, thickness = height_px / _DIGIT_HEIGHT_PX, max(1, round(height_px / 8))
    if anchor == "released":
        thickness = released_stroke(height_px / _PAPER_DIGIT_HEIGHT_PX)
    margin = int(2 * height_px)
    canvas = np.zeros((3 * margin, int((len(label) + 1) * height_px) + 2 * margin), np.uint8)
    cv2.putText(canvas, label, (margin, 2 * margin), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thickness, cv2.LINE_AA)
    rows, columns = (np.flatnonzero((canvas > _FAINT).any(axis=axis)) for axis in (1, 0))
    ink = canvas[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return ink.astype(np.float32) / np.float32(255)
