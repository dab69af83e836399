"""Answer vote: the drawn object ID that a sentence's true boxes correspond to, by equations 2 and 3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from tasks.benchmarks.samples import Sample, Target
from tasks.markers.config import AnswerRule
from tasks.markers.drawing import Candidate
from tasks.markers.released import released_answer
from tasks.masks.instances import box_iou


class TargetAnswer(NamedTuple):
    """Answer ID of one target, with its quality.

    Attributes:
        object_id: ID with the most votes; None without votes.
        vote_share: its votes over the number of rendered frames in the true span.
        mean_iou: mean IoU of its boxes with the true boxes over these frames; 0 for frames where it is not drawn.
        votes: number of its votes.
        reason: empty, or the reason why there is no answer: `span_not_rendered` or `target_not_drawn`.
    """

    object_id: int | None
    vote_share: float = 0.0
    mean_iou: float = 0.0
    votes: int = 0
    reason: str = ""


class SampleAnswer(NamedTuple):
    """Answer of a sample: distinct IDs of its targets, ascending, and means over its targets.

    `reason` is empty if a target has an ID or the task needs no objects; otherwise it is `no_target` for an expression that
    means none, `no_true_boxes` or a reason of `TargetAnswer`.
    """

    object_ids: tuple[int, ...] = ()
    vote_share: float = 0.0
    mean_iou: float = 0.0
    votes: int = 0
    reason: str = ""


def vote_sample(
    sample: Sample, span: tuple[int, int] | None, drawn: Mapping[int, Sequence[Candidate]], rule: AnswerRule = "paper"
) -> SampleAnswer:
    """Answer a sample by the votes of frames.

    Args:
        sample: sentence with its targets.
        span: true span in native frames, closed; None without a span.
        drawn: rendered frame (native index) -> objects with a marker there; all native frames for the released rule.
        rule: voting rule; the quality follows the paper's equations in either case.
    """
    if not sample.task.needs_objects:
        return SampleAnswer()
    if sample.targets and not any(len(target.frames) for target in sample.targets):
        return SampleAnswer(reason="no_target")
    if not sample.targets or span is None:
        return SampleAnswer(reason="no_true_boxes")
    in_span = {frame: candidates for frame, candidates in drawn.items() if span[0] <= frame <= span[1]}
    votes = [vote_target(target, in_span) for target in sample.targets]
    if rule == "released":
        votes = [a._replace(object_id=_released(target, drawn)) for a, target in zip(votes, sample.targets, strict=True)]
    ids = {a.object_id for a in votes if a.object_id is not None}
    share, iou = fmean(a.vote_share for a in votes), fmean(a.mean_iou for a in votes)
    reason = "" if ids else votes[0].reason or "target_not_drawn"
    return SampleAnswer(
        object_ids=tuple(sorted(ids)), vote_share=share, mean_iou=iou, votes=sum(a.votes for a in votes), reason=reason
    )


def _released(target: Target, drawn: Mapping[int, Sequence[Candidate]]) -> int | None:
    """Answer of the released code, with boxes one frame late, since it reads the 1-based `st_frame` as 0-based."""
    kept = {f: {c.object_id: (c.box[0], c.box[1], c.box[2] - 1, c.box[3] - 1) for c in seen} for f, seen in drawn.items()}
    truth = [(x1, y1, x2, y2) for x1, y1, x2, y2 in target.boxes.tolist()]
    return released_answer(kept, int(target.frames[0]) + 1, truth)


def vote_target(target: Target, drawn: Mapping[int, Sequence[Candidate]]) -> TargetAnswer:
    """Answer of one target: each rendered frame of the true span votes for the drawn object with the highest IoU.

    Args:
        target: target with its true boxes.
        drawn: rendered frame of the span (native index) -> objects with a marker there.

    Returns:
        The ID of equation 3; ties are resolved by the sum of IoUs, then by the smaller ID.
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
