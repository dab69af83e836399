from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bench.label_reader import legibility
from tasks.markers.config import MarkerConfig
from tasks.markers.drawing import Candidate, Marker, draw_markers, place_markers
from tasks.markers.labels import STYLES, Style, id_of, label_of
from tasks.video.jpeg import encode_jpeg


@given(st.integers(1, 100_000), st.sampled_from(STYLES))
def test_a_label_maps_back_to_its_id_in_either_case(object_id: int, style: Style) -> None:
    label = label_of(object_id, style)
    assert id_of(label, style) == id_of(label.upper(), style) == id_of(label.lower(), style) == object_id


@given(st.text(max_size=6), st.sampled_from(STYLES))
def test_what_a_style_never_writes_has_no_id(text: str, style: Style) -> None:
    found = id_of(text, style)
    assert found is None or label_of(found, style).lower() == text.lower()


def test_letters_go_on_after_the_last() -> None:
    assert [label_of(i, "upper") for i in (1, 26, 27, 52, 53, 702, 703)] == ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]
    assert [label_of(i, "mix") for i in (1, 9, 10, 35, 36)] == ["1", "9", "A", "Z", "AA"]
    assert [id_of(t, "numbers") for t in ("7", "07", "A", "", "0")] == [7, None, None, None, None]
    with pytest.raises(ValueError, match="count from 1"):
        label_of(0, "numbers")


def texture(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Patches of any colour, reddish in a third of the frames, and noise."""
    side = int(rng.integers(2, 12))
    patches = rng.integers(0, 256, (196 // side + 2, 364 // side + 2, 3)).astype(np.uint8)
    if rng.random() < 1 / 3:
        patches = (patches * np.array([0.4, 0.5, 0.5]) + np.array([150, 0, 0])).astype(np.uint8)
    image = cv2.resize(patches, (364, 196), interpolation=cv2.INTER_CUBIC)
    return np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)


def frame(rng: np.random.Generator, style: Style, height_px: float) -> tuple[NDArray[np.uint8], list[Marker]]:
    anchors = [(30 + 60 * x + rng.uniform(-5, 5), 30 + 45 * y + rng.uniform(-5, 5)) for x in range(6) for y in range(4)]
    ids = rng.integers(1, 100, len(anchors)).tolist()
    candidates = [Candidate(i, "person", 1, anchor, (0, 0, 1, 1)) for i, anchor in zip(ids, anchors, strict=True)]
    image, markers = texture(rng), place_markers(candidates, (1, 1), (364, 196), height_px, style)
    draw_markers(image, markers, height_px)
    stored = cv2.imdecode(np.frombuffer(encode_jpeg(image, 95), np.uint8), cv2.IMREAD_COLOR)
    return stored[..., ::-1].astype(np.uint8), markers


@pytest.mark.parametrize("style", STYLES)
def test_labels_of_the_least_height_are_read_right_on_99_per_cent(style: Style) -> None:
    rng = np.random.default_rng(1)
    height_px = MarkerConfig(style=style).legible_from_px
    right, count = legibility((frame(rng, style, height_px) for _ in range(40)), style, height_px)
    assert count == 960
    assert right / count >= 0.99
