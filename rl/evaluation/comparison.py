"""Comparison of two evaluations of the same series: differences paired by sample and clustered by video."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from rl.engines.config import DecodingConfig
from rl.evaluation.cells import Cell
from rl.evaluation.results import EvaluationResults
from storage.common.errors import InputError
from storage.folders.files import hash8
from tasks.benchmarks.samples import Task
from tasks.metrics.bootstrap import Interval, paired_difference
from tasks.metrics.conventions import DEFAULT

METRICS = ("vIoU", "J&F", "tIoU", "accuracy")
"""Metrics that are compared, by preference: the first that the results have."""
PLACELESS_METRICS = ("tIoU", "accuracy")
"""The same for a protocol whose answers have times or words and no place."""


class NightlyError(InputError):
    """Results that cannot be compared with the accepted ones."""


class SeriesScores(BaseModel):
    """Scores of one evaluation by sample, as they are accepted and compared.

    Attributes:
        series: name of what is followed over time: model, benchmark, protocol, markers and decoding.
        key: of the predictions; another key means that something which shapes them has changed.
        convention: name of the rule that the scores follow.
        task: whose samples are compared.
        metric: one of `METRICS`.
        scores: sample ID -> score in [0, 1], with ID repair where there are boxes.
        lost: samples of lost videos, which score zero.
        videos: sample ID -> its video; empty in scores of an earlier version.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a stored record also has a digest

    series: str
    key: str
    convention: str
    task: Task
    metric: str
    scores: dict[str, float]
    lost: int
    videos: dict[str, str] = {}

    @property
    def samples(self) -> int:
        """Number of samples, lost ones included."""
        return len(self.scores) + self.lost

    @property
    def mean(self) -> float:
        """Mean over all samples, lost ones included, in [0, 1]."""
        return sum(self.scores.values()) / max(1, self.samples)


class Comparison(BaseModel):
    """Scores of now against the accepted ones.

    Attributes:
        difference: of the means, now less accepted, in per cent points.
        interval: 95 % confidence interval of the difference, paired by sample and clustered by video, in per cent points.
        dropped: whether the mean fell by more than the tolerance, and not by chance.
        changed: sample ID -> (accepted score, score now), the largest fall first; only samples whose score changed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    difference: float
    interval: Interval
    dropped: bool
    changed: dict[str, tuple[float, float]]

    @property
    def fallen(self) -> dict[str, tuple[float, float]]:
        """The samples of `changed` that score less than before."""
        return {sample_id: scores for sample_id, scores in self.changed.items() if scores[1] < scores[0]}


def series_name(cell: Cell, decoding: DecodingConfig) -> str:
    """Name of the series of a cell: the cell's own, and a hash of the decoding parameters.

    Args:
        cell: of a sweep.
        decoding: sampling of responses.
    """
    return f"{cell.name}/{hash8(decoding.shaping())}"


def series_scores(series: str, results: EvaluationResults, places: bool = True) -> SeriesScores:
    """The scores that are compared: of the main task by the first convention, and the first of `METRICS` that it has.

    Args:
        series: name of the series.
        results: of one evaluation.
        places: whether answers have objects or boxes; without, the paper's convention goes first, whose tIoU needs no boxes.

    Raises:
        NightlyError: nothing was scored.
    """
    metrics = METRICS if places else PLACELESS_METRICS
    for _, scores in sorted(results.scores.items(), key=lambda item: not places and item[0] != DEFAULT):
        if scores.main is None:
            continue
        task, report = scores.main
        metric = next((m for m in metrics if any(m in own for own in report.per_sample.values())), "")
        if metric:
            return SeriesScores(
                series=series,
                key=results.key,
                convention=report.convention,
                task=task,
                metric=metric,
                scores={sample_id: own.get(metric, 0.0) for sample_id, own in report.per_sample.items()},
                lost=report.lost,
                videos={sample_id: scores.videos[sample_id] for sample_id in report.per_sample if sample_id in scores.videos},
            )
    raise NightlyError(f"{series} has no scores to follow: choose a protocol that is scored")


def compare_scores(accepted: SeriesScores, now: SeriesScores, tolerance: float) -> Comparison:
    """Compare scores of one series sample by sample.

    Args:
        accepted: earlier scores.
        now: later scores.
        tolerance: largest fall of the mean that passes, in per cent points.

    Raises:
        NightlyError: they follow different conventions, or are of different samples.
    """
    kinds = [f"{s.metric} of {s.task} by '{s.convention}'" for s in (accepted, now)]
    if kinds[0] != kinds[1]:
        raise NightlyError(f"{now.series}: accepted is {kinds[0]}, this is {kinds[1]}: accept results of this kind first")
    if accepted.scores.keys() != now.scores.keys() or accepted.lost != now.lost:
        raise NightlyError(
            f"{now.series}: accepted are {len(accepted.scores)} samples and {accepted.lost} lost ones, these are others "
            f"({len(now.scores)} and {now.lost}): accept results of these first"
        )
    pairs = {sample_id: (before, now.scores[sample_id]) for sample_id, before in accepted.scores.items()}
    differences = [100 * (after - before) for before, after in pairs.values()] + [0.0] * now.lost
    clusters = [now.videos.get(sample_id, sample_id) for sample_id in pairs] + [f"lost {n}" for n in range(now.lost)]
    paired = paired_difference(differences, clusters)
    by_fall = sorted(pairs.items(), key=lambda item: item[1][1] - item[1][0])
    return Comparison(
        difference=paired.difference,
        interval=paired.interval,
        dropped=paired.difference < -tolerance and paired.interval[1] < 0,
        changed={sample_id: pair for sample_id, pair in by_fall if pair[0] != pair[1]},
    )
