"""How many drawn labels can be read, by style, at the least height and at the paper's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.figures import Figure, at_least, told
from bench.label_reader import legibility
from tasks.markers.config import MarkerConfig
from tasks.markers.drawing import Candidate, Marker, digit_height_px, draw_markers, place_markers
from tasks.markers.labels import STYLES, Style
from tasks.video.jpeg import encode_jpeg

FRAMES, WIDTH, HEIGHT = 100, 364, 196


def texture(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Patches of any colour, reddish in a third of the frames, and noise."""
    import cv2

    side = int(rng.integers(2, 12))
    patches = rng.integers(0, 256, (HEIGHT // side + 2, WIDTH // side + 2, 3)).astype(np.uint8)
    if rng.random() < 1 / 3:
        patches = (patches * np.array([0.4, 0.5, 0.5]) + np.array([150, 0, 0])).astype(np.uint8)
    image = cv2.resize(patches, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)


def frame(rng: np.random.Generator, style: Style, height_px: float) -> tuple[NDArray[np.uint8], list[Marker]]:
    """A frame with 24 labels of IDs below 100, as it comes out of its JPEG."""
    import cv2

    anchors = [(30 + 60 * x + rng.uniform(-5, 5), 30 + 45 * y + rng.uniform(-5, 5)) for x in range(6) for y in range(4)]
    ids = rng.integers(1, 100, len(anchors)).tolist()
    candidates = [Candidate(i, "person", 1, anchor, (0, 0, 1, 1)) for i, anchor in zip(ids, anchors, strict=True)]
    image, markers = texture(rng), place_markers(candidates, (1, 1), (WIDTH, HEIGHT), height_px, style)
    draw_markers(image, markers, height_px)
    stored = cv2.imdecode(np.frombuffer(encode_jpeg(image, 95), np.uint8), cv2.IMREAD_COLOR)
    return stored[..., ::-1].astype(np.uint8), markers


def run() -> list[Figure]:
    """Read labels of every style."""
    figures = []
    for style in STYLES:
        least = MarkerConfig(style=style).legible_from_px
        for height_px in (least, digit_height_px(20, WIDTH)):
            rng = np.random.default_rng(0)
            right, count = legibility((frame(rng, style, height_px) for _ in range(FRAMES)), style, height_px)
            name = f"{style}: share read right at {height_px:.1f} px"
            how = f"{count} labels of 99 on random textures, JPEG 95"
            figures.append(at_least(name, right / count, 0.99, how) if height_px == least else told(name, right / count, how))
    return figures
