"""A box as a model writes it, in its own coordinates, as pixels of the native frame."""

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
    """The box of an answer, pixels of the native frame, half-open, cut to it; None if there is none.

    Of several boxes the first counts: it is the one that models put the most likely object in.

    Args:
        text: all that the model said, such as `{"bbox_2d": [1, 2, 3, 4]}` or `<box>[[1, 2, 3, 4]]</box>`.
        coordinates: what its numbers are: pixels of the image it saw, or thousandths of it.
        seen: (width, height) of the image it saw.
        native: (width, height) of the frame.
    """
    found = _FOUR.search(" ".join(text.split()))
    if found is None:
        return None
    per = seen if coordinates == "pixels" else (_THOUSAND, _THOUSAND)
    x1, y1, x2, y2 = (
        min(max(float(value) / per[side % 2] * native[side % 2], 0.0), float(native[side % 2]))
        for side, value in enumerate(found.groups())
    )
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None
