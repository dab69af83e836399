"""Clips made in memory: coloured figures in lanes, each with a number, on screen for a while. All truth is known exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.markers.drawing import Candidate, draw_markers, place_markers
from tasks.masks.instances import Box
from tasks.metrics.tubes import Tube
from tasks.video.reader import Frames

FPS = 2.0
PAIRS = 4
"""Frame pairs of a whole clip, each shown for a second."""
SIDE = 84
"""Of a frame, pixels: 3 x 3 visual tokens for a frame pair."""
LANES = 3
IDS = 4
"""Numbers go from 1 to this: with three figures one is missing."""
COLOURS = {"blue": (40, 70, 235), "green": (20, 150, 60), "yellow": (235, 220, 70), "white": (245, 245, 245)}
SHAPES = ("disc", "square")
_DIGIT_PX = 20.0
_RADIUS = 12
_AWAY = 2
"""Farthest that a centre is from its cell's, pixels: digits at any place take a model of this size far longer to read."""
_SPEED = 1.0
"""Largest, pixels a frame."""
_GROUND = 110


@dataclass(frozen=True, eq=False)
class Figure:
    """A figure that is on screen for one stretch, at most half of the clip.

    Attributes:
        object_id: the number on it.
        colour, shape: what a sentence calls it.
        tube: its frames and boxes; boxes are pixels.
    """

    object_id: int
    colour: str
    shape: str
    tube: Tube

    @property
    def span_s(self) -> tuple[float, float]:
        """When it is on screen, seconds, half-open."""
        return self.tube.start / FPS, (self.tube.end + 1) / FPS

    def box(self, frame: int) -> Box:
        """Its box on a frame of its stretch."""
        x1, y1, x2, y2 = self.tube.boxes[frame - self.tube.start].tolist()
        return x1, y1, x2, y2


@dataclass(frozen=True, eq=False)
class Scene:
    """A clip of figures of different colours in different lanes; the first is the one that is asked for."""

    figures: tuple[Figure, ...]
    pairs: int = PAIRS

    @property
    def target(self) -> Figure:
        """The figure that is asked for."""
        return self.figures[0]


def scene(seed: int, number: int, figures: int = LANES, pairs: int = PAIRS) -> Scene:
    """Scene `number` of a seed, always the same."""
    random = np.random.default_rng([seed, number])
    lanes, ids = random.permutation(LANES)[:figures], random.permutation(IDS)[:figures] + 1
    colours = random.permutation(list(COLOURS))[:figures]
    placements = zip(lanes.tolist(), ids.tolist(), colours.tolist(), strict=True)
    return Scene(tuple(_figure(random, 2 * pairs, *one) for one in placements), pairs)


def _figure(random: np.random.Generator, count: int, lane: int, object_id: int, colour: str) -> Figure:
    length = int(random.integers(2, max(count // 2, 2) + 1))
    first = int(random.integers(0, count - length + 1))
    at = np.arange(first, first + length)
    column = int(random.integers(LANES))
    away = random.uniform(-_AWAY, _AWAY) + random.uniform(-_SPEED, _SPEED) * (at - at.mean())
    x = (column + 0.5) * SIDE / LANES + np.round(np.clip(away, -_AWAY, _AWAY))
    y = np.full(length, (lane + 0.5) * SIDE / LANES)
    boxes = np.stack([x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS], axis=1)
    return Figure(object_id, colour, SHAPES[int(random.integers(len(SHAPES)))], Tube(first, first + length - 1, at, boxes))


def frames(scene: Scene, marked: bool = True, blank: bool = False) -> Frames:
    """The clip as uint8 (frames, height, width, 3), RGB.

    Args:
        scene: the scene to draw.
        marked: whether each figure carries its number.
        blank: whether there is nothing but the ground.
    """
    out = np.full((2 * scene.pairs, SIDE, SIDE, 3), _GROUND, np.uint8)
    for number, image in enumerate([] if blank else out):
        visible = [figure for figure in scene.figures if figure.tube.start <= number <= figure.tube.end]
        for figure in visible:
            x1, y1, x2, y2 = map(int, figure.box(number))
            image[y1:y2, x1:x2][_MASKS[figure.shape]] = COLOURS[figure.colour]
        if marked:
            markers = place_markers([_candidate(figure, number) for figure in visible], (1.0, 1.0), (SIDE, SIDE), _DIGIT_PX)
            draw_markers(image, markers, _DIGIT_PX)
    return out


def _candidate(figure: Figure, frame: int) -> Candidate:
    x1, y1, x2, y2 = figure.box(frame)
    centre = ((x1 + x2 - 1) / 2, (y1 + y2 - 1) / 2)
    return Candidate(
        object_id=figure.object_id,
        category=figure.shape,
        area=int(_MASKS[figure.shape].sum()),
        anchor=centre,
        box=(x1, y1, x2, y2),
    )


def _masks() -> dict[str, NDArray[np.bool_]]:
    y, x = np.mgrid[-_RADIUS:_RADIUS, -_RADIUS:_RADIUS] + 0.5
    return {"disc": x**2 + y**2 <= _RADIUS**2, "square": np.ones_like(x, bool)}


_MASKS = _masks()
