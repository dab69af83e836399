"""Kinds of failure of an answer, and a choice of samples of every kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rl.evaluation.predictions import StoredPrediction
from tasks.benchmarks.samples import Task
from tasks.metrics.temporal import interval_iou
from tasks.preview.timeline import evenly_spaced

KINDS = (
    "fell",
    "no reply",
    "unparsable",
    "target never detected",
    "wrong ID",
    "wrong time",
    "wrong box",
    "wrong answer",
    "right",
    "not scored",
)
"""A sample may be of several of the first eight. `fell`: below the accepted score; `wrong time`, `wrong box`: an overlap below
`HALF`, for boxes on the frames of both spans, and where neither ID nor target is the failure."""
HALF = 0.5
"""Overlap from which a time or a tube counts as right here, whatever the thresholds of the convention."""
_NOT_PARSED = {"missing", "unreadable"}


@dataclass(frozen=True)
class TrueSample:
    """A sample of the dataset with its true answer.

    Attributes:
        sample_id, clip_id, group, sentence, options: as in the dataset.
        span_s: true span, seconds of the clip, half-open; None without truth.
        answer: to a question.
        answer_ids: object IDs of the target.
        reason: code of the reason why it has no answer IDs; empty if it has.
    """

    sample_id: str
    clip_id: str
    group: str
    sentence: str
    options: tuple[str, ...]
    span_s: tuple[float, float] | None
    answer: str
    answer_ids: tuple[int, ...]
    reason: str


def kinds_of(prediction: StoredPrediction, truth: TrueSample, scores: Mapping[str, float], fell: bool = False) -> list[str]:
    """What is wrong with a prediction, in the order of `KINDS`.

    Args:
        prediction: of the sample.
        truth: the sample.
        scores: metric -> score in [0, 1]; empty where the sample is not scored.
        fell: whether its accepted score is higher.
    """
    wrong = {"fell"} if fell else set()
    if prediction.failure:
        wrong.add("no reply")
    else:
        wrong |= _wrong(prediction, truth, scores)
    return [kind for kind in KINDS if kind in wrong] or ["right" if scores else "not scored"]


def _wrong(prediction: StoredPrediction, truth: TrueSample, scores: Mapping[str, float]) -> set[str]:
    ids, span = prediction.ids_status, prediction.span_status
    wrong = {"unparsable"} if {ids, span} & _NOT_PARSED else set()
    if ids and truth.reason and not truth.answer_ids:
        wrong.add("target never detected")
    elif ids and ids not in _NOT_PARSED and not _has_right_ids(prediction, truth):
        wrong.add("wrong ID")
    elif (ids == "read" or prediction.boxes) and scores.get("vIoU", 1.0) < HALF * scores.get("tIoU", 1.0):
        wrong.add("wrong box")
    if span and span not in _NOT_PARSED and _overlap(prediction, truth) < HALF:
        wrong.add("wrong time")
    if scores.get("accuracy", 1.0) < HALF:
        wrong.add("wrong answer")
    return wrong


def _overlap(prediction: StoredPrediction, truth: TrueSample) -> float:
    """IoU of both spans; 1 where the sample has no true span."""
    if truth.span_s is None:
        return 1.0
    return 0.0 if prediction.span_s is None else interval_iou(truth.span_s, prediction.span_s)


def _has_right_ids(prediction: StoredPrediction, truth: TrueSample) -> bool:
    """Whether the IDs are the target's: all of them where there may be several, else the first, which alone is scored."""
    ids = prediction.object_ids
    if prediction.task is Task.SEGMENTATION:
        return set(ids) == set(truth.answer_ids)
    return bool(ids) and ids[0] in truth.answer_ids


def choose_samples(kinds: Mapping[str, Sequence[str]], limit: int) -> list[str]:
    """A choice of samples: equally many of each first kind, evenly spread; what rare kinds leave goes to the others.

    Args:
        kinds: sample ID -> its kinds.
        limit: maximum number of samples.

    Returns:
        Sample IDs in the order of `kinds`.
    """
    groups: dict[str, list[str]] = {}
    for sample_id, own in kinds.items():
        groups.setdefault(own[0], []).append(sample_id)
    chosen: set[str] = set()
    for at, samples in enumerate(sorted(groups.values(), key=len)):
        chosen |= {samples[i] for i in evenly_spaced(len(samples), (limit - len(chosen)) // (len(groups) - at))}
    return [sample_id for sample_id in kinds if sample_id in chosen]
