"""Parser of a box in a model's own coordinates."""

from __future__ import annotations

import re
from typing import Literal

from tasks.masks.instances import Box

_NUMBER = r"(-?\d{1,7}(?:\.\d{1,20})?)"
_FOUR = re.compile(rf"[\[(] ?{_NUMBER} ?, ?{_NUMBER} ?, ?{_NUMBER} ?, ?{_NUMBER} ?[\])]", re.ASCII)
_THOUSAND = 1000.0


def parse_box(
    text: str, coordinates: Literal["pixels", "thousandths"], seen: tuple[int, int], native: tuple[int, int]
) -> Box | None:
    """Parse the box of an answer; of several boxes the first counts, since models list the most likely object first.

    Args:
        text: Whole response of the model, such as `{"bbox_2d": [1, 2, 3, 4]}` or `<box>[[1, 2, 3, 4]]</box>`.
        coordinates: Unit of its numbers: pixels of the input image, or thousandths of its sides.
        seen: (width, height) of the input image, pixels.
        native: (width, height) of the native frame, pixels.

    Returns:
        (x1, y1, x2, y2) in pixels of the native frame, half-open and clipped to it; None if there is no box.
    """
    match = _FOUR.search(" ".join(text.split()))
    if match is None:
        return None
    unit = seen if coordinates == "pixels" else (_THOUSAND, _THOUSAND)
    x1, y1, x2, y2 = (
        min(max(float(value) / unit[side % 2] * native[side % 2], 0.0), float(native[side % 2]))
        for side, value in enumerate(match.groups())
    )
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None
