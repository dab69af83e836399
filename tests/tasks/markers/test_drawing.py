from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.markers.config import MarkerConfig
from tasks.markers.drawing import Candidate, digit_height_px, draw_markers, filter_by_size, glyph, place_markers
from tasks.markers.labels import STYLES, Style, label_noun, label_of


def candidate(object_id: int, category: str, area: int, anchor: tuple[float, float] = (5, 5)) -> Candidate:
    return Candidate(object_id, category, area, anchor, (0, 0, 10, 10))


def test_the_size_filter_is_per_category_and_keeps_the_threshold_itself() -> None:
    frame = [candidate(1, "person", 300), candidate(2, "person", 100), candidate(3, "person", 99), candidate(4, "dog", 5)]
    assert [c.object_id for c in filter_by_size(frame, 1 / 3)] == [1, 2, 4]
    assert [c.object_id for c in filter_by_size(frame, 0)] == [1, 2, 3, 4]
    assert filter_by_size([], 1 / 3) == []


def test_the_paper_s_size_is_converted_to_pixels_of_the_model_frame() -> None:
    assert digit_height_px(20, 364) == pytest.approx(15.9, abs=0.05)
    assert digit_height_px(20, 140) == pytest.approx(6.1, abs=0.05)
    assert digit_height_px(40, 364) == pytest.approx(2 * digit_height_px(20, 364))


@pytest.mark.parametrize("height_px", [8.0, 16.0, 24.0, 32.0])
@pytest.mark.parametrize("label", ["1", "8", "27"])
def test_a_drawn_number_is_red_as_high_as_asked_and_centred(label: str, height_px: float) -> None:
    image = np.full((160, 200, 3), 128, np.uint8)
    [marker] = place_markers([candidate(int(label), "person", 9, (99.5, 79.5))], (1.0, 1.0), (200, 160), height_px)
    draw_markers(image, [marker], height_px)
    rows, columns = np.nonzero((image != 128).any(axis=2))
    assert rows.max() - rows.min() + 1 == pytest.approx(height_px, abs=1.5)
    assert (rows.min() + rows.max()) / 2 == pytest.approx(79.5, abs=0.5)
    assert (columns.min() + columns.max()) / 2 == pytest.approx(99.5, abs=0.5)
    assert image[rows, columns, 0].max() >= 245


@given(st.floats(-50, 700), st.floats(-50, 400), st.integers(1, 120), st.sampled_from(STYLES))
def test_a_label_never_leaves_the_frame(x: float, y: float, object_id: int, style: Style) -> None:
    image = np.full((196, 364, 3), 128, np.uint8)
    [marker] = place_markers([candidate(object_id, "person", 9, (x, y))], (0.5, 0.5), (364, 196), 16.0, style)
    free = np.full((396, 564, 3), 128, np.uint8)
    draw_markers(image, [marker], 16.0)
    draw_markers(free, [marker._replace(x=marker.x + 100, y=marker.y + 100)], 16.0)
    lost = (free != 128).any(axis=2).sum() - (image != 128).any(axis=2).sum()
    assert lost == 0


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("height_px", [8.0, 10.0, 15.9])
def test_the_ink_of_every_style_is_centred_on_the_anchor(style: Style, height_px: float) -> None:
    for object_id in (*range(1, 37), 99):
        image = np.full((160, 200, 3), 128, np.uint8)
        [marker] = place_markers([candidate(object_id, "person", 9, (99.5, 79.5))], (1.0, 1.0), (200, 160), height_px, style)
        draw_markers(image, [marker], height_px)
        assert marker.label == label_of(object_id, style)
        rows, columns = np.nonzero((image != 128).any(axis=2))
        assert (rows.min() + rows.max()) / 2 == pytest.approx(79.5, abs=0.5)
        assert (columns.min() + columns.max()) / 2 == pytest.approx(99.5, abs=0.5)


@pytest.mark.parametrize("height_px", [8.0, 10.0, 15.9, 24.0])
def test_capitals_are_as_high_as_digits_and_small_letters_keep_three_quarters(height_px: float) -> None:
    for letter in "ABCDEFGHIKLMNOPRSTUVWXYZ":
        assert glyph(letter, height_px).shape[0] == pytest.approx(height_px, abs=1.5)
    heights = {letter: glyph(letter, height_px).shape[0] for letter in "abcdefghijklmnopqrstuvwxyz"}
    assert min(heights.values()) >= 0.7 * height_px
    assert max(heights.values()) > height_px, "descenders are drawn"


def test_letters_need_more_pixels_than_numbers_and_prompts_name_what_is_drawn() -> None:
    assert {style: MarkerConfig(style=style).legible_from_px for style in STYLES} == {
        "numbers": 8.0,
        "upper": 9.0,
        "lower": 10.0,
        "mix": 9.0,
    }
    assert [label_noun(style) for style in STYLES] == ["number", "letter", "letter", "label"]


def test_the_released_filter_compares_with_the_whole_frame() -> None:
    frame = [candidate(1, "person", 300), candidate(2, "person", 100), candidate(3, "dog", 99)]
    assert [c.object_id for c in filter_by_size(frame, 1 / 3)] == [1, 2, 3]
    assert [c.object_id for c in filter_by_size(frame, 1 / 3, "frame")] == [1, 2]


def test_a_released_label_begins_at_its_anchor_and_may_be_cut() -> None:
    image = np.full((100, 200, 3), 128, np.uint8)
    inner, outer = (candidate(i, "person", 9, at) for i, at in ((7, (50.0, 60.0)), (88, (195.0, 5.0))))
    inside, cut = place_markers([inner, outer], (1.0, 1.0), (200, 100), 16.0, anchor="released")
    draw_markers(image, [inside], 16.0, "released")
    rows, columns = np.nonzero((image != 128).any(axis=2))
    assert (columns.min(), rows.max()) == (pytest.approx(50, abs=1), pytest.approx(60, abs=1))
    draw_markers(image, [cut], 16.0, "released")
    drawn = (image[:, 150:] != 128).any(axis=2)
    assert drawn.any(axis=0)[-1]
    assert drawn.any(axis=1)[0]
    assert drawn.sum() < np.count_nonzero(glyph("88", 16.0, "released"))
