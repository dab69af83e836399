"""The three parts of a reward, as section 3.3 defines them, and the continuous spatial part of section 4.5."""

from __future__ import annotations

from statistics import fmean
from typing import Literal, NamedTuple

from rl.prompts.answers import ParsedAnswer
from rl.rewards.truth import Truth, meets
from tasks.metrics.temporal import interval_iou

Appears = Literal["visible", "drawn"]
"""When an object appears: where the mask database has it, or where a frame that is shown carries its marker."""


class Parts(NamedTuple):
    """r_t, r_s and r_f of one response, each in [0, 1]."""

    r_t: float
    r_s: float
    r_f: float


def r_t(answer: ParsedAnswer, truth: Truth) -> float:
    """Equation 4: temporal IoU; 0 for a span that is missing, unreadable or reversed."""
    return interval_iou(truth.span_s, answer.span_s) if answer.span_s else 0.0


def r_s(answer: ParsedAnswer, truth: Truth, appears: Appears = "visible") -> float:
    """Equation 5: 1 if the only ID named is the true one and appears on a native frame of the closed span that was named."""
    if truth.object_id is None or answer.object_ids != (truth.object_id,) or answer.span_s is None:
        return 0.0
    return float(meets(truth.drawn if appears == "drawn" else truth.visible, answer.span_s))


def r_f(answer: ParsedAnswer) -> float:
    """1 if the response is a thought and an answer in their tags, and nothing else."""
    return float(answer.formatted)


def mean_iou(answer: ParsedAnswer, truth: Truth) -> float:
    """Section 4.5: IoU of the named object's box with the true one, averaged over native frames of both spans."""
    if len(answer.object_ids) != 1 or answer.span_s is None:
        return 0.0
    frames = truth.frames_in(answer.span_s)
    shared = truth.ious.get(answer.object_ids[0], ())[frames]
    return fmean(shared) if shared else 0.0
