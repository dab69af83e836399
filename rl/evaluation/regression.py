"""Whether a model answers as well as when its results were accepted: paired over samples, of one convention alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from rl.evaluation.results import EvaluationResults
from rl.evaluation.sweep import Cell
from storage.common.errors import InputError, StvgError
from storage.folders.files import hash8
from tasks.metrics.bootstrap import paired_difference
from tasks.metrics.conventions import DEFAULT

METRICS = ("vIoU", "J&F", "tIoU", "accuracy")
"""What is compared: the first of these that the results have."""
PLACELESS = ("tIoU", "accuracy")
"""The same where a protocol asks for times and answers alone: it says nothing of places."""


class NightlyError(InputError):
    """Results that cannot be compared with those that were accepted."""


class DropError(StvgError):
    """A model answers worse than when its results were accepted."""


@dataclass(frozen=True)
class Scored:
    """The scores of an evaluation, a sample each.

    Attributes:
        series: who was asked what and how, decoding included: what is followed over nights.
        key: of the predictions: another one means that something which shapes them changed.
        convention, task, metric: what the scores are.
        scores: sample -> score in [0, 1], with ID repair where there are boxes.
        lost: samples of lost videos, which score zero.
    """

    series: str
    key: str
    convention: str
    task: str
    metric: str
    scores: dict[str, float]
    lost: int

    @property
    def mean(self) -> float:
        """Over all samples, lost ones included."""
        return sum(self.scores.values()) / max(1, len(self.scores) + self.lost)


def series_of(cell: Cell, decoding: Mapping[str, Any]) -> str:
    """The name under which a cell is followed."""
    return "/".join([*(part for part in cell if part), hash8(dict(decoding))])


def scored(series: str, results: EvaluationResults, places: bool = True) -> Scored:
    """The scores of the first convention and the largest task, by the first metric there is.

    Args:
        series: their name.
        results: of one evaluation.
        places: whether answers say where; else the paper's convention goes first, whose tIoU needs no boxes.

    Raises:
        NightlyError: nothing was scored.
    """
    metrics = METRICS if places else PLACELESS
    for _, by_task in sorted(results.scores.items(), key=lambda item: not places and item[0] != DEFAULT):
        if (main := by_task.main) is None:
            continue
        task, report = main
        metric = next((m for m in metrics if any(m in scores for scores in report.per_sample.values())), "")
        if metric:
            scores = {sample: values.get(metric, 0.0) for sample, values in report.per_sample.items()}
            return Scored(series, results.key, report.convention, task, metric, scores, report.lost)
    raise NightlyError(f"{series} has no scores to follow: choose a protocol that is scored")


class Verdict(NamedTuple):
    """How results compare with accepted ones.

    Attributes:
        difference: of means, now less accepted, in per cent of the scale.
        interval: 95 % of it, samples drawn in pairs.
        dropped: whether it fell by more than is tolerated, and not by chance.
        changed: sample -> (accepted, now), the largest fall first.
    """

    difference: float
    interval: tuple[float, float]
    dropped: bool
    changed: dict[str, tuple[float, float]]


def judge(accepted: Scored, now: Scored, tolerance: float) -> Verdict:
    """Compare results with accepted ones, sample by sample.

    Args:
        accepted: earlier results.
        now: results of the same series.
        tolerance: largest fall that is let pass, in per cent of the scale.

    Raises:
        NightlyError: they follow another convention, or are of other samples.
    """
    kinds = [f"{s.metric} of {s.task} by '{s.convention}'" for s in (accepted, now)]
    if kinds[0] != kinds[1]:
        raise NightlyError(f"{now.series}: accepted is {kinds[0]}, this is {kinds[1]}: accept results of this kind first")
    if accepted.scores.keys() != now.scores.keys() or accepted.lost != now.lost:
        raise NightlyError(
            f"{now.series}: accepted are {len(accepted.scores)} samples and {accepted.lost} lost ones, these are others "
            f"({len(now.scores)} and {now.lost}): accept results of these first"
        )
    pairs = {sample: (before, now.scores[sample]) for sample, before in accepted.scores.items()}
    differences = [100 * (after - before) for before, after in pairs.values()] + [0.0] * now.lost
    difference, interval = paired_difference(differences)
    changed = {s: p for s, p in sorted(pairs.items(), key=lambda item: item[1][1] - item[1][0]) if p[0] != p[1]}
    return Verdict(difference, interval, difference < -tolerance and interval[1] < 0, changed)
