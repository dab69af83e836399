from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from bench.label_reader import legibility, read_label
from tasks.markers.config import MarkerConfig
from tasks.markers.drawing import Candidate, Marker, draw_markers, place_markers
from tasks.markers.labels import STYLES, Style
from tasks.video.jpeg import encode_jpeg

WIDTH, HEIGHT = 364, 196


def background(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Any colours or shades of red, in patches of 2 to 11 px or as streaks, with noise."""
    sides = rng.integers(2, 12, 2) * (1, int(rng.choice((1, 8))))
    patches = rng.integers(0, 256, (HEIGHT // sides[0] + 2, WIDTH // sides[1] + 2, 3)).astype(np.uint8)
    if rng.random() < 1 / 3:
        patches = (patches * np.array([0.4, 0.5, 0.5]) + np.array([150, 0, 0])).astype(np.uint8)
    image = cv2.resize(patches, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)


def anchors(rng: np.random.Generator) -> list[tuple[float, float]]:
    """Whole pixels, as masks give them: 24 over the frame, the outer ones at its very edge."""
    jitter = rng.integers(-5, 6, (6, 4, 2))
    return [
        (
            float(np.clip(5 + 70 * x + jitter[x, y, 0], 0, WIDTH - 1)),
            float(np.clip(5 + 62 * y + jitter[x, y, 1], 0, HEIGHT - 1)),
        )
        for x in range(6)
        for y in range(4)
    ]


def drawn(rng: np.random.Generator, style: Style, height_px: float, scale: float) -> tuple[NDArray[np.uint8], list[Marker]]:
    ids = rng.integers(1, 100, 24).tolist()
    native = [(x / scale // 1, y / scale // 1) for x, y in anchors(rng)]
    candidates = [Candidate(i, "person", 1, at, (0, 0, 1, 1)) for i, at in zip(ids, native, strict=True)]
    image, markers = background(rng), place_markers(candidates, (scale, scale), (WIDTH, HEIGHT), height_px, style)
    draw_markers(image, markers, height_px)
    stored = cv2.imdecode(np.frombuffer(encode_jpeg(image, 95), np.uint8), cv2.IMREAD_COLOR)
    return stored[..., ::-1].astype(np.uint8), markers


@pytest.mark.parametrize("scale", [1.0, 0.5, 364 / 1280])
@pytest.mark.parametrize("style", STYLES)
def test_labels_of_the_least_height_are_read_wherever_their_object_lies(style: Style, scale: float) -> None:
    rng = np.random.default_rng(0)
    height_px = MarkerConfig(style=style).legible_from_px
    right, count = legibility((drawn(rng, style, height_px, scale) for _ in range(20)), style, height_px)
    assert count == 480
    assert right / count >= 0.99


@pytest.mark.parametrize("style", STYLES)
def test_every_label_of_a_style_is_told_from_every_other(style: Style) -> None:
    height_px = MarkerConfig(style=style).legible_from_px
    for object_id in range(1, 100):
        image = np.full((40, 60, 3), 128, np.uint8)
        [marker] = place_markers(
            [Candidate(object_id, "person", 1, (30, 20), (0, 0, 1, 1))], (1, 1), (60, 40), height_px, style
        )
        draw_markers(image, [marker], height_px)
        assert read_label(image, marker._replace(object_id=0, label=""), style, height_px) == marker.label


def test_labels_too_small_to_read_are_found_out() -> None:
    rng = np.random.default_rng(0)
    right, count = legibility((drawn(rng, "numbers", 5.0, 1.0) for _ in range(10)), "numbers", 5.0)
    assert right / count < 0.9
