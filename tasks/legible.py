"""Whether drawn labels can be read: a reader that knows where a label is, and not which.

It compares how red the pixels are with every label the style could have written there. What it cannot tell, a model will
not either.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tasks.labels import Style, label_of
from tasks.markers import RED, Marker, glyph
from tasks.video import Frames

_WIDTH = 90.0
"""Distance in RGB over which a pixel stops looking like ink."""
CANDIDATES = 99
"""Labels the reader chooses from: those of the IDs from 1 to this."""


def read_label(image: Frames, marker: Marker, style: Style, height_px: float) -> str:
    """Read the label at a marker's place.

    Args:
        image: uint8 (height, width, 3), RGB, with markers drawn.
        marker: where to look; its own label is not used.
        style: what labels there are.
        height_px: digit height they were drawn at.
    """
    labels, sizes = _labels(style, height_px)
    reach_y, reach_x = (int(side) // 2 + 2 for side in sizes.max(axis=0))
    x, y = round(marker.x), round(marker.y)
    red = _redness(image, (x - reach_x, y - reach_y), (2 * reach_x + 1, 2 * reach_y + 1))
    fractions = marker.x - x, marker.y - y
    templates = _templates(style, height_px, (reach_x, reach_y), (round(fractions[0], 2), round(fractions[1], 2)))
    centred = red.ravel() - red.mean()
    return labels[int(np.argmax(templates @ centred))]


@lru_cache(maxsize=64)
def _labels(style: Style, height_px: float) -> tuple[list[str], NDArray[np.int64]]:
    labels = [label_of(i, style) for i in range(1, CANDIDATES + 1)]
    return labels, np.array([glyph(label, height_px).shape for label in labels], np.int64)


def _redness(image: Frames, corner: tuple[int, int], size: tuple[int, int]) -> NDArray[np.float32]:
    """How near each pixel of a window is to pure red, in [0, 1]; the window may leave the image."""
    (x, y), (width, height) = corner, size
    rows = np.clip(np.arange(y, y + height), 0, image.shape[0] - 1)
    columns = np.clip(np.arange(x, x + width), 0, image.shape[1] - 1)
    window = image[np.ix_(rows, columns)].astype(np.float32)
    distance = np.square(window - np.array(RED, np.float32)).sum(axis=2)
    redness: NDArray[np.float32] = np.exp(-distance / np.float32(_WIDTH**2))
    return redness


@lru_cache(maxsize=4096)
def _templates(style: Style, height_px: float, reach: tuple[int, int], fractions: tuple[float, float]) -> NDArray[np.float32]:
    """Every label as it would be drawn in the window: (labels, pixels), mean 0, length 1."""
    rows = []
    for label in _labels(style, height_px)[0]:
        alpha = glyph(label, height_px)
        h, w = alpha.shape
        canvas = np.zeros((2 * reach[1] + 1, 2 * reach[0] + 1), np.float32)
        x, y = round(reach[0] + fractions[0] - w / 2), round(reach[1] + fractions[1] - h / 2)
        canvas[y : y + h, x : x + w] = alpha[: canvas.shape[0] - y, : canvas.shape[1] - x]
        rows.append(canvas.ravel() - canvas.mean())
    stacked = np.stack(rows)
    unit: NDArray[np.float32] = stacked / np.linalg.norm(stacked, axis=1, keepdims=True)
    return unit


def legibility(frames: Iterable[tuple[Frames, Sequence[Marker]]], style: Style, height_px: float) -> tuple[int, int]:
    """Read every label of some frames; (read right, all)."""
    seen = [(read_label(image, marker, style, height_px), marker.label) for image, markers in frames for marker in markers]
    return sum(read == label for read, label in seen), len(seen)
