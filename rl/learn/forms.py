"""Two ways to answer which object it is: by its number, as the paper does, or by coordinates."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from rl.learn.scenes import FPS, SIDE, Figure, Scene
from rl.learn.words import with_boxes, with_id
from rl.prompts.answers import ParsedAnswer, parse_answer
from rl.prompts.boxes import parse_box
from rl.rewards.parts import Parts, r_f, r_s, r_t
from rl.rewards.truth import Truth
from tasks.masks.instances import Box
from tasks.metrics.tubes import Tube, overlap


@dataclass(frozen=True)
class Form:
    """A way to answer.

    Attributes:
        name: in files.
        marked: whether figures carry numbers.
        answer: the correct answer text for a figure.
        tube: what an answer points at in a scene; None if it cannot be read.
        spatial: r_s of an answer.
    """

    name: str
    marked: bool
    answer: Callable[[Figure], str]
    tube: Callable[[str, Scene], Tube | None]
    spatial: Callable[[str, Scene], float]

    def parts(self, text: str, scene: Scene) -> Parts:
        """r_t, r_s and r_f of an answer: equations 4 to 6 for numbers, r_s in the continuous form of section 4.5 for boxes."""
        answer = _read(text)
        return Parts(r_t(answer, _truth(scene.target)), self.spatial(text, scene), r_f(answer))


def _truth(figure: Figure) -> Truth:
    return Truth(figure.span_s, figure.object_id, visible=(figure.span_s,))


@lru_cache(maxsize=4096)
def _read(text: str) -> ParsedAnswer:
    return parse_answer(text)


def _span(text: str, frame_count: int) -> tuple[int, int] | None:
    """The frames of an answer's span, closed; None where it has none."""
    if (span_s := _read(text).span_s) is None:
        return None
    first, last = math.ceil(span_s[0] * FPS), min(math.ceil(span_s[1] * FPS), frame_count) - 1
    return (first, last) if first <= last else None


def _answer_id(figure: Figure) -> str:
    return with_id(figure.object_id, figure.span_s)


def _tube_of_id(text: str, scene: Scene) -> Tube | None:
    """The named figure's boxes within the span."""
    span, ids = _span(text, 2 * scene.pairs), _read(text).object_ids
    if span is None or len(ids) != 1:
        return None
    for figure in scene.figures:
        if figure.object_id == ids[0]:
            return Tube(*span, figure.tube.frames, figure.tube.boxes)
    return Tube(*span, np.empty(0, np.int64), np.empty((0, 4)))


def _spatial_of_id(text: str, scene: Scene) -> float:
    return r_s(_read(text), _truth(scene.target))


def _answer_boxes(figure: Figure) -> str:
    return with_boxes(figure.box(figure.tube.start), figure.box(figure.tube.end), figure.span_s)


@lru_cache(maxsize=4096)
def _boxes(text: str) -> tuple[Box, Box] | None:
    first, _, last = _read(text).body.partition("] to [")
    boxes = [parse_box(part, "pixels", (SIDE, SIDE), (SIDE, SIDE)) for part in (first + "]", "[" + last)]
    return None if boxes[0] is None or boxes[1] is None else (boxes[0], boxes[1])


def _tube_of_boxes(text: str, scene: Scene) -> Tube | None:
    """The box of the first and of the last frame, and a straight way between them."""
    span, boxes = _span(text, 2 * scene.pairs), _boxes(text)
    if span is None or boxes is None:
        return None
    frames = np.arange(span[0], span[1] + 1)
    sides = zip(*boxes, strict=True)
    placed = np.stack([np.interp(frames, span, side) if span[0] < span[1] else np.full(1, side[0]) for side in sides], axis=1)
    return Tube(*span, frames, placed)


def _spatial_of_boxes(text: str, scene: Scene) -> float:
    """Mean IoU over the frames of both spans."""
    boxes = _tube_of_boxes(text, scene)
    shared = overlap(scene.target.tube, boxes).ious if boxes else np.empty(0)
    return float(shared.mean()) if len(shared) else 0.0


FORMS = {
    form.name: form
    for form in (
        Form(name="markers", marked=True, answer=_answer_id, tube=_tube_of_id, spatial=_spatial_of_id),
        Form(name="coordinates", marked=False, answer=_answer_boxes, tube=_tube_of_boxes, spatial=_spatial_of_boxes),
    )
}
"""Alike in everything but the answer, and that coordinates are asked on frames without numbers."""
