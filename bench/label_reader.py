"""Whether drawn labels can be read: a reader that knows where a label is, and not which.

A pixel of a colour can hide only so much red ink, its bound: no more than its red, nor than its green and blue leave. Ink of
coverage c on a pixel of bound b gives one of bound c + (1 - c) b exactly, so the bounds seen above and below a label tell how
likely each bound is under ink and without. The reader picks the likeliest label; what it cannot tell, a model will not either.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.markers.config import Anchor
from tasks.markers.drawing import Marker, glyph
from tasks.markers.labels import Style, label_of
from tasks.video.reader import Frames

CANDIDATES = 99
"""Labels the reader chooses from: those of the IDs from 1 to this."""
_BINS = 32
_LEVELS = 17
"""Steps in which bounds and coverages are told apart."""
_NOISE = 0.03
"""Standard deviation that JPEG adds to a bound."""
_SURPRISE = 0.005
"""Share of pixels that are as nothing here explains, so that no single one decides."""
_UNSEEN = 5.0
"""Pixels of every bound taken to lie around a label beside those seen there."""
_SHIFT = 1
"""Pixels by which a label may lie beside its place: `draw` rounds, and ties may go either way."""


class _Templates(NamedTuple):
    """Labels centred in a window that reaches `reach` (x, y) pixels from its centre.

    `places` (labels, pixels) are the window's pixels that have ink, padded, and `levels` how much, in steps of coverage.
    """

    labels: list[str]
    places: NDArray[np.int64]
    levels: NDArray[np.int64]
    reach: tuple[int, int]


def read_label(image: Frames, marker: Marker, style: Style, height_px: float, anchor: Anchor = "centroid") -> str:
    """Read the label at a marker's place.

    Args:
        image: uint8 (height, width, 3), RGB, with markers drawn.
        marker: where to look, pixels of the image; its own label is not used. A label that the frame cuts is not read.
        style: what labels there are.
        height_px: digit height they were drawn at.
        anchor: the strokes they were drawn with.

    Returns:
        The likeliest label of the IDs from 1 to `CANDIDATES`.
    """
    labels, places, levels, (reach_x, reach_y) = _templates(style, height_px, anchor)
    x, y = int(marker.x), int(marker.y)
    bins = np.zeros((2 * reach_y + 1, 2 * reach_x + 1), np.int64)
    inside = _bounds(image, (x - reach_x, y - reach_y, x + reach_x + 1, y + reach_y + 1))
    top, left = max(reach_y - y, 0), max(reach_x - x, 0)
    bins[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    sides = x - 2 * reach_x, x + 2 * reach_x + 1
    above = _bounds(image, (sides[0], y - 2 * reach_y, sides[1], y - reach_y))
    below = _bounds(image, (sides[0], y + reach_y + 1, sides[1], y + 2 * reach_y + 1))
    evidence = _evidence(np.concatenate((above.ravel(), below.ravel())))
    steps = range(-_SHIFT, _SHIFT + 1)
    shifts = np.array([dy * bins.shape[1] + dx for dy in steps for dx in steps])
    scores = evidence[levels, bins.ravel()[places + shifts[:, None, None]]].sum(axis=2).max(axis=0)
    return labels[int(np.argmax(scores))]


def _bounds(image: Frames, box: tuple[int, int, int, int]) -> NDArray[np.int64]:
    """Most ink that each pixel of a half-open box can hide, in bins; only of pixels inside the image."""
    x1, y1, x2, y2 = (max(side, 0) for side in box)
    pixels = image[y1:y2, x1:x2].astype(np.int64)
    bounds: NDArray[np.int64] = np.minimum(pixels[..., 0], 255 - pixels[..., 1:].max(axis=2)) * _BINS // 256
    return bounds


def _evidence(around: NDArray[np.int64]) -> NDArray[np.float64]:
    """How much likelier a pixel of a bound is under ink of a level than without: log ratios (levels, bins)."""
    seen = np.bincount(around, minlength=_BINS) + _UNSEEN
    likely = np.einsum("b,lbs->ls", seen / seen.sum(), _spread()) * (1 - _SURPRISE) + _SURPRISE / _BINS
    evidence: NDArray[np.float64] = np.log(likely / likely[0])
    return evidence


@lru_cache(maxsize=1)
def _spread() -> NDArray[np.float64]:
    """Chance that ink of a level on a pixel of a bound is seen as another: (levels, bins, bins)."""
    ink = np.linspace(0, 1, _LEVELS)[:, None]
    bounds = (np.arange(_BINS) + 0.5) / _BINS
    moved = ink + (1 - ink) * bounds
    chance = np.exp(-np.square((bounds - moved[..., None]) / _NOISE) / 2)
    spread: NDArray[np.float64] = chance / chance.sum(axis=-1, keepdims=True)
    return spread


@lru_cache(maxsize=16)
def _templates(style: Style, height_px: float, anchor: Anchor) -> _Templates:
    labels = [label_of(i, style) for i in range(1, CANDIDATES + 1)]
    glyphs = [glyph(label, height_px, anchor) for label in labels]
    reach_y, reach_x = (max(g.shape[axis] for g in glyphs) // 2 + 1 + _SHIFT for axis in (0, 1))
    width = 2 * reach_x + 1
    places = np.full((len(labels), max(np.count_nonzero(g) for g in glyphs)), reach_y * width + reach_x)
    levels = np.zeros(places.shape, np.int64)
    for number, ink in enumerate(glyphs):
        rows, columns = np.nonzero(ink)
        top, left = reach_y - ink.shape[0] // 2, reach_x - ink.shape[1] // 2
        places[number, : rows.size] = (rows + top) * width + columns + left
        levels[number, : rows.size] = np.rint(ink[rows, columns] * (_LEVELS - 1))
    return _Templates(labels, places, levels, (reach_x, reach_y))


def legibility(
    frames: Iterable[tuple[Frames, Sequence[Marker]]], style: Style, height_px: float, anchor: Anchor = "centroid"
) -> tuple[int, int]:
    """Read every label of some frames, as `read_label` does; (read right, all).

    Args:
        frames: rendered frames with their markers, uint8 (height, width, 3), RGB.
        style: marker style of the labels.
        height_px: digit height in pixels.
        anchor: `centroid`, or `released` for the released code's position.
    """
    right = [
        read_label(image, marker, style, height_px, anchor) == marker.label for image, markers in frames for marker in markers
    ]
    return sum(right), len(right)
