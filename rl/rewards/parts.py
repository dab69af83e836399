"""The three parts of a reward as section 3.3 defines them, and the continuous spatial part of section 4.5."""

from __future__ import annotations

from statistics import fmean
from typing import Literal, NamedTuple

from rl.prompts.answers import ParsedAnswer
from rl.rewards.truth import Truth, overlaps
from tasks.metrics.temporal import interval_iou

Appearance = Literal["visible", "drawn"]
"""When an object counts as present: while the mask database has it, or while a frame of the prompt carries its marker."""


class Parts(NamedTuple):
    """r_t, r_s and r_f of one response, each in [0, 1]."""

    r_t: float
    r_s: float
    r_f: float


def r_t(answer: ParsedAnswer, truth: Truth) -> float:
    """Equation 4: temporal IoU; 0 for a span that is missing, unreadable or reversed.

    Args:
        answer: parsed response; its span is in seconds of the clip.
        truth: of the sample; its span is in seconds of the clip.
    """
    return interval_iou(truth.span_s, answer.span_s) if answer.span_s else 0.0


def r_s(answer: ParsedAnswer, truth: Truth, appearance: Appearance = "visible") -> float:
    """Equation 5: 1 if the only predicted ID is the true one and the object is present within the predicted span.

    Args:
        answer: parsed response; its span is closed, in seconds of the clip.
        truth: the object's intervals are half-open, in seconds of the clip.
        appearance: which intervals of the object count.
    """
    if truth.object_id is None or answer.object_ids != (truth.object_id,) or answer.span_s is None:
        return 0.0
    return float(overlaps(truth.drawn if appearance == "drawn" else truth.visible, answer.span_s))


def r_f(answer: ParsedAnswer) -> float:
    """1 if the response is a thought and an answer in their tags, and nothing else."""
    return float(answer.formatted)


def mean_iou(answer: ParsedAnswer, truth: Truth) -> float:
    """Section 4.5: IoU of the predicted object's box with the true one, averaged over native frames of both spans.

    Args:
        answer: parsed response; its span is half-open here, in seconds of the clip.
        truth: holds the IoU of every object's box on each native frame of the true span.
    """
    if len(answer.object_ids) != 1 or answer.span_s is None:
        return 0.0
    frames = truth.frames_in(answer.span_s)
    ious = truth.ious.get(answer.object_ids[0], ())[frames]
    return fmean(ious) if ious else 0.0
