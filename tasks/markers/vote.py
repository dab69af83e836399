"""The answer: which drawn IDs a sentence's true boxes mean, by equations 2 and 3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from tasks.benchmarks.samples import Sample, Target
from tasks.markers.drawing import Candidate
from tasks.markers.released import AnswerRule, released_answer
from tasks.masks.instances import box_iou


class TargetAnswer(NamedTuple):
    """The answer ID of one target with its quality.

    Attributes:
        object_id: the ID most frames vote for; None without a vote.
        vote_share: its votes over the rendered frames of the true span.
        mean_iou: mean IoU of its boxes with the true ones over these frames; a frame where it is not drawn counts 0.
        votes: its votes.
        reason: empty, or why there is no answer: `span_not_rendered` or `target_not_drawn`.
    """

    object_id: int | None
    vote_share: float = 0.0
    mean_iou: float = 0.0
    votes: int = 0
    reason: str = ""


class SampleAnswer(NamedTuple):
    """The answer to a sample: the IDs of its targets, ascending, each once; and means over its targets.

    `reason` is empty if any target has an ID or the sample asks for none; else why: `no_true_boxes` or a reason of
    `Answer`.
    """

    object_ids: tuple[int, ...] = ()
    vote_share: float = 0.0
    mean_iou: float = 0.0
    votes: int = 0
    reason: str = ""


def vote_sample(
    sample: Sample, span: tuple[int, int] | None, drawn: Mapping[int, Sequence[Candidate]], rule: AnswerRule = "paper"
) -> SampleAnswer:
    """Answer a sample.

    Args:
        sample: the sentence and its targets.
        span: its true span in native frames, closed; None where it has none.
        drawn: rendered frame (native index) -> objects with a marker there; every frame for the released rule.
        rule: who votes; the quality is told by the paper's equations in either case.
    """
    if not sample.task.needs_objects:
        return SampleAnswer()
    if not sample.targets or span is None:
        return SampleAnswer(reason="no_true_boxes")
    in_span = {frame: candidates for frame, candidates in drawn.items() if span[0] <= frame <= span[1]}
    votes = [vote_target(target, in_span) for target in sample.targets]
    if rule == "released":
        votes = [a._replace(object_id=_released(target, drawn)) for a, target in zip(votes, sample.targets, strict=True)]
    ids = {a.object_id for a in votes if a.object_id is not None}
    share, iou = fmean(a.vote_share for a in votes), fmean(a.mean_iou for a in votes)
    reason = "" if ids else votes[0].reason or "target_not_drawn"
    return SampleAnswer(tuple(sorted(ids)), share, iou, sum(a.votes for a in votes), reason)


def _released(target: Target, drawn: Mapping[int, Sequence[Candidate]]) -> int | None:
    """The released vote; boxes come one frame late, since `st_frame` counts from 1 and is read as if from 0."""
    kept = {f: {c.object_id: (c.box[0], c.box[1], c.box[2] - 1, c.box[3] - 1) for c in seen} for f, seen in drawn.items()}
    truth = [(x1, y1, x2, y2) for x1, y1, x2, y2 in target.boxes.tolist()]
    return released_answer(kept, int(target.frames[0]) + 1, truth)


def vote_target(target: Target, drawn: Mapping[int, Sequence[Candidate]]) -> TargetAnswer:
    """Let every rendered frame of the true span vote for the drawn object that overlaps the true box most.

    Args:
        target: the true boxes.
        drawn: rendered frame of the span (native index) -> objects with a marker there.

    Returns:
        Equation 3's ID; a tie of votes goes to the larger sum of IoUs, then to the smaller ID.
    """
    truth = {frame: box for frame in drawn if (box := target.box_at(frame)) is not None}
    if not truth:
        return TargetAnswer(None, reason="span_not_rendered")
    votes: dict[int, int] = {}
    overlap: dict[int, float] = {}
    for frame, box in truth.items():
        ious = {c.object_id: box_iou(box, c.box) for c in drawn[frame]}
        for object_id, iou in ious.items():
            overlap[object_id] = overlap.get(object_id, 0.0) + iou
        best = max(ious, key=lambda i: (ious[i], -i), default=None)
        if best is not None and ious[best] > 0:
            votes[best] = votes.get(best, 0) + 1
    if not votes:
        return TargetAnswer(None, reason="target_not_drawn")
    winner = max(votes, key=lambda i: (votes[i], overlap[i], -i))
    return TargetAnswer(winner, votes[winner] / len(truth), overlap[winner] / len(truth), votes[winner])
