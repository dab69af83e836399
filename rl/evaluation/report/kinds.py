"""What is wrong with an answer, by kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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
"""A sample may be of several of the first eight. `fell`: below what was accepted; `wrong time`, `wrong box`: `HALF` is not
reached, of boxes on the frames of both spans, and where neither ID nor target is what is wrong."""
HALF = 0.5
"""Overlap from which a time or a tube counts as right here, whatever the convention's thresholds."""
_LOST = {"missing", "unreadable"}


def kinds_of(row: Mapping[str, Any], truth: Mapping[str, Any], scores: Mapping[str, float], fell: bool = False) -> list[str]:
    """What is wrong with a row of the predictions, in the order of `KINDS`.

    Args:
        row: of the predictions table.
        truth: its sample's row of the samples table.
        scores: the sample's scores, empty where it has none.
        fell: whether it scored more before.
    """
    wrong = {"fell"} if fell else set()
    if row["failed"]:
        wrong.add("no reply")
    else:
        wrong |= _wrong(row, truth, scores)
    return [kind for kind in KINDS if kind in wrong] or ["right" if scores else "not scored"]


def _wrong(row: Mapping[str, Any], truth: Mapping[str, Any], scores: Mapping[str, float]) -> set[str]:
    ids, span = row["ids_status"], row["span_status"]
    wrong = {"unparsable"} if {ids, span} & _LOST else set()
    if ids and truth["reason"] and not truth["answer_ids"]:
        wrong.add("target never detected")
    elif ids and ids not in _LOST and not _named(row, truth):
        wrong.add("wrong ID")
    elif (ids == "read" or row["boxes"]) and scores.get("vIoU", 1.0) < HALF * scores.get("tIoU", 1.0):
        wrong.add("wrong box")
    if span and span not in _LOST and _overlap(row, truth) < HALF:
        wrong.add("wrong time")
    if scores.get("accuracy", 1.0) < HALF:
        wrong.add("wrong answer")
    return wrong


def _overlap(row: Mapping[str, Any], truth: Mapping[str, Any]) -> float:
    """IoU of both spans; 1 where the truth has none."""
    true, told = ((span["start_s"], span["end_s"]) for span in (truth, row))
    if None in true:
        return 1.0
    return 0.0 if None in told else interval_iou(true, told)


def _named(row: Mapping[str, Any], truth: Mapping[str, Any]) -> bool:
    """Whether the IDs are the answer's: all of them where several may be meant, else the first, which is what is scored."""
    if row["task"] == Task.SEGMENTATION:
        return set(row["object_ids"]) == set(truth["answer_ids"])
    return bool(row["object_ids"]) and row["object_ids"][0] in truth["answer_ids"]


def chosen(kinds: Mapping[str, Sequence[str]], most: int) -> list[str]:
    """At most so many samples, in order: of each first kind equally many, evenly spread; what rare kinds leave, others take."""
    groups: dict[str, list[str]] = {}
    for sample_id, found in kinds.items():
        groups.setdefault(found[0], []).append(sample_id)
    taken: set[str] = set()
    for at, samples in enumerate(sorted(groups.values(), key=len)):
        taken |= {samples[i] for i in evenly_spaced(len(samples), (most - len(taken)) // (len(groups) - at))}
    return [sample_id for sample_id in kinds if sample_id in taken]
