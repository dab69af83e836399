from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl.prompts.boxes import parse_box

NATIVE = (1280, 720)


@pytest.mark.parametrize(
    ("text", "coordinates", "seen", "box"),
    [
        ('```json\n[{"bbox_2d": [28, 14, 56, 28], "label": "man"}]\n```', "pixels", (280, 140), (128, 72, 256, 144)),
        ('{"bbox_2d": [100, 200, 500, 1000]}', "thousandths", (280, 140), (128, 144, 640, 720)),
        ("<ref>the man</ref><box>[[100, 200, 500, 999.5]]</box>", "thousandths", (1, 1), (128, 144, 640, 719.64)),
        ("(0,0,280,140)", "pixels", (280, 140), (0, 0, 1280, 720)),
        ("[-5, 0, 2000, 500] [1, 2, 3, 4]", "thousandths", (1, 1), (0, 0, 1280, 360)),
    ],
)
def test_a_box_is_read_in_the_models_own_coordinates(
    text: str, coordinates: str, seen: tuple[int, int], box: tuple[float, ...]
) -> None:
    assert parse_box(text, coordinates, seen, NATIVE) == pytest.approx(box)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "nothing", "[1, 2, 3]", "[5, 5, 1, 9]", "[0.00, 0.00, 0.27, 0.00]", "[1 2 3 4]"])
def test_what_is_no_box_is_none(text: str) -> None:
    assert parse_box(text, "thousandths", (1, 1), NATIVE) is None


@given(st.text(alphabet="[](),.- 0123456789\n"))
def test_any_text_gives_a_box_inside_the_frame_or_none(text: str) -> None:
    box = parse_box(text, "pixels", (364, 196), NATIVE)
    assert box is None or (0 <= box[0] < box[2] <= 1280 and 0 <= box[1] < box[3] <= 720)
