"""How good answers are on held-out clips, beside the best constant answer and the same model shown blank frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from rl.learn.forms import Form
from rl.learn.policy import Policy
from rl.learn.scenes import FPS, IDS, LANES, PAIRS, SIDE, Figure, Scene, frames
from rl.learn.words import prompt, with_boxes, with_id
from tasks.metrics.conventions import paper
from tasks.metrics.tubes import Case, Tube, overlap

_BATCH = 50
_LIMIT = 32


class Marks(NamedTuple):
    """Means over clips, each in [0, 1].

    Attributes:
        id_accuracy: answers that point at the right figure: by its number, or by boxes that overlap it most.
        m_tiou, m_viou: the paper's.
        read: answers that could be read; the others score zero.
    """

    id_accuracy: float
    m_tiou: float
    m_viou: float
    read: float


def answers(policy: Policy, form: Form, scenes: Sequence[Scene], blank: bool = False, generator: Any = None) -> list[str]:
    """The likeliest answers, or such as `generator` draws at temperature 1."""
    import torch

    policy.model.eval()
    texts: list[str] = []
    for first in range(0, len(scenes), _BATCH):
        some = scenes[first : first + _BATCH]
        ids = policy.ids([prompt(scene.target, scene.pairs) for scene in some])
        clips = np.stack([frames(scene, form.marked, blank) for scene in some])
        with torch.no_grad():
            inputs = policy.embedded(ids, clips)
        texts += policy.texts(policy.sample(inputs, policy.positions(ids, PAIRS), _LIMIT, generator))
    return texts


def marks(texts: Sequence[str], form: Form, scenes: Sequence[Scene]) -> Marks:
    """Marks of one answer a clip; one that cannot be read scores zero."""
    rows = [_marks(form.tube(text, scene), scene) for text, scene in zip(texts, scenes, strict=True)]
    return Marks(*np.mean(rows, axis=0).tolist())


def _marks(tube: Tube | None, scene: Scene) -> tuple[float, ...]:
    if tube is None:
        return 0.0, 0.0, 0.0, 0.0
    scores = paper(Case(sample_id="", fps=FPS, frame_count=2 * scene.pairs, truth=scene.target.tube, predicted=tube))
    return float(_pointed_at(tube, scene) is scene.target), scores.t_iou, scores.v_iou, 1.0


def _pointed_at(tube: Tube, scene: Scene) -> Figure | None:
    """The figure that a tube overlaps most, whenever that is; None if it meets none."""
    totals = [float(overlap(figure.tube, tube).ious.sum()) for figure in scene.figures]
    return scene.figures[int(np.argmax(totals))] if max(totals) > 0 else None


def best_constant(form: Form, scenes: Sequence[Scene]) -> Marks:
    """Each mark of the constant answer that is best at it: chosen on these very clips, so it is hard to beat."""
    edges = [n / FPS for n in range(2 * PAIRS + 1)]
    spans = [(start, end) for start in edges for end in edges if start < end]
    if form.marked:
        texts = [with_id(number, span) for number in range(1, IDS + 1) for span in spans]
    else:
        lane = SIDE // LANES
        boxes = [(x + 2, y + 2, x + lane - 2, y + lane - 2) for x in range(0, SIDE, lane) for y in range(0, SIDE, lane)]
        texts = [with_boxes(box, box, span) for box in boxes for span in spans]
    every = [marks([text] * len(scenes), form, scenes) for text in texts]
    return Marks(*np.max(every, axis=0).tolist())
