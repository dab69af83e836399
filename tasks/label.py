"""The answer: which drawn ID a sentence's true boxes mean, by equations 2 and 3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tasks.datasets.base import Sample
from tasks.markers import Candidate
from tasks.masks import box_iou


class Answer(NamedTuple):
    """The answer ID with its quality.

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


def answer(sample: Sample, drawn: Mapping[int, Sequence[Candidate]]) -> Answer:
    """Let every rendered frame of the true span vote for the drawn object that overlaps the true box most.

    Args:
        sample: the sentence and its true boxes.
        drawn: rendered frame (native index) -> objects with a marker there.

    Returns:
        Equation 3's ID; a tie of votes goes to the larger sum of IoUs, then to the smaller ID.
    """
    span = [f for f in drawn if sample.start_frame <= f <= sample.end_frame]
    if not span:
        return Answer(None, reason="span_not_rendered")
    votes: dict[int, int] = {}
    overlap: dict[int, float] = {}
    for frame in span:
        ious = {c.object_id: box_iou(sample.boxes[frame - sample.start_frame], c.box) for c in drawn[frame]}
        for object_id, iou in ious.items():
            overlap[object_id] = overlap.get(object_id, 0.0) + iou
        best = max(ious, key=lambda i: (ious[i], -i), default=None)
        if best is not None and ious[best] > 0:
            votes[best] = votes.get(best, 0) + 1
    if not votes:
        return Answer(None, reason="target_not_drawn")
    winner = max(votes, key=lambda i: (votes[i], overlap[i], -i))
    return Answer(winner, votes[winner] / len(span), overlap[winner] / len(span), votes[winner])
