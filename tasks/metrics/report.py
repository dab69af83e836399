"""Typed results of scoring: means with the convention they follow, the denominator, and the counts of what is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from tasks.benchmarks.samples import Task
from tasks.metrics.bootstrap import Interval, mean_intervals
from tasks.metrics.tubes import Scores

V_THRESHOLDS = (0.3, 0.5)
T_THRESHOLDS = (0.3, 0.5, 0.7)
_THRESHOLDS = {"vIoU": V_THRESHOLDS, "tIoU": T_THRESHOLDS}
_DECIMALS = 6
"""Decimals of an interval's sides."""


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MetricMean(_Result):
    """The mean of a metric over samples.

    Attributes:
        mean: in [0, 1].
        interval: 95 % confidence interval of the mean; None where none was computed.
    """

    mean: float
    interval: Interval | None = None


class GroupReport(_Result):
    """Means over the samples of one group, such as the declarative sentences of VidSTG.

    Attributes:
        samples: number of samples of the group.
        metrics: name of a mean, such as `m_vIoU` or `vIoU@0.5` -> the mean.
    """

    samples: int
    metrics: dict[str, MetricMean]


class TaskReport(_Result):
    """Scores of all samples of one task under one convention.

    Attributes:
        convention: name of the rule that the scores follow.
        samples: the denominator: every planned sample, missing and lost ones included.
        missing: samples without a prediction; they score zero.
        invalid: sample ID -> reason why its prediction cannot be used; these samples score zero.
        lost: samples of videos that the dataset lost; they score zero and are not in `per_sample`.
        metrics: name of a mean, such as `m_vIoU` or `vIoU@0.5` -> the mean over all samples.
        groups: group -> its means; empty where the benchmark has no groups.
        per_sample: sample ID -> metric -> score in [0, 1].
    """

    convention: str
    samples: int
    missing: int = 0
    invalid: dict[str, str] = {}
    lost: int = 0
    metrics: dict[str, MetricMean] = {}
    groups: dict[str, GroupReport] = {}
    per_sample: dict[str, dict[str, float]] = {}

    @property
    def counts(self) -> str:
        """The denominator and what scores zero in it, as text."""
        invalid = f", {len(self.invalid)} invalid" if self.invalid else ""
        return f"{self.samples} samples, {self.missing} missing, {self.lost} lost{invalid}"


class RepairedFrames(_Result):
    """Frames of all repaired tubes, by the origin of their box (`tasks.metrics.repair`)."""

    kept: int = 0
    corrected: int = 0
    fallback: int = 0


class ConventionScores(_Result):
    """Scores of a dataset under one convention, by task.

    Attributes:
        dataset: name of the dataset.
        content_hash: of the dataset.
        predictions: the predictions file, `given` for predictions in memory, `ceiling` for the true times and IDs.
        unmatched: predictions that name no sample of the dataset.
        without_truth: samples that are not scored because their truth is not public.
        unjudged: questions that score zero because they need a judge and none was given.
        results: task -> report of the answers as predicted.
        repaired: task -> report with ID repair; only tasks that are scored by boxes.
        repaired_frames: origin of the boxes of the repaired tubes.
        videos: sample ID -> its video, by which intervals are clustered.
    """

    dataset: str
    content_hash: str
    predictions: str
    unmatched: int = 0
    without_truth: int = 0
    unjudged: int = 0
    results: dict[Task, TaskReport] = {}
    repaired: dict[Task, TaskReport] = {}
    repaired_frames: RepairedFrames = RepairedFrames()
    videos: dict[str, str] = {}

    @property
    def reports(self) -> dict[Task, TaskReport]:
        """Task -> its report, with ID repair where there are boxes."""
        return {**self.results, **self.repaired}

    @property
    def main(self) -> tuple[Task, TaskReport] | None:
        """The task with the most samples, and its report; None where nothing is scored."""
        return max(self.reports.items(), key=lambda item: item[1].samples, default=None)


@dataclass
class Tally:
    """Scores of one task, collected sample by sample.

    Attributes:
        convention: name of the rule that the scores follow.
        reaches: whether a score counts at a threshold, by that rule.
        per_sample: sample ID -> metric -> score in [0, 1]; no scores for a missing prediction.
        groups: group -> IDs of its samples.
        missing: samples without a prediction.
        invalid: sample ID -> reason why its prediction cannot be used.
        lost_videos: video that the dataset lost -> number of its samples.
    """

    convention: str
    reaches: Callable[[float, float], bool]
    per_sample: dict[str, dict[str, float]] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    missing: int = 0
    invalid: dict[str, str] = field(default_factory=dict)
    lost_videos: Mapping[str, int] = field(default_factory=dict)

    def add(self, sample_id: str, scores: Mapping[str, float | None] | None, group: str = "", invalid: str = "") -> None:
        """Add a sample.

        Args:
            sample_id: unique among the task's samples.
            scores: metric -> score in [0, 1]; a metric that is None is left out; None for a missing prediction.
            group: by which the benchmark splits its results; empty for none.
            invalid: reason why the prediction cannot be used; empty if it can or is missing.
        """
        self.per_sample[sample_id] = {name: score for name, score in (scores or {}).items() if score is not None}
        if invalid:
            self.invalid[sample_id] = invalid
        else:
            self.missing += scores is None
        if group:
            self.groups.setdefault(group, []).append(sample_id)

    @property
    def lost(self) -> int:
        """Number of samples of videos that the dataset lost."""
        return sum(self.lost_videos.values())

    @property
    def samples(self) -> int:
        """The denominator: every planned sample."""
        return len(self.per_sample) + self.lost

    def report(self, intervals: bool = False, videos: Mapping[str, str] | None = None) -> TaskReport:
        """The means over all samples and over each group.

        Args:
            intervals: whether each mean over all samples has a confidence interval, by bootstrap over videos.
            videos: sample ID -> its video; samples that it lacks are independent.
        """
        values = self.values()
        sides = mean_intervals(values, self._clusters(videos or {})) if intervals else {}
        metrics = {
            name: MetricMean(mean=mean, interval=_rounded(sides[name]) if intervals else None)
            for name, mean in _means(values).items()
        }
        groups = {
            name: GroupReport(samples=len(ids), metrics={n: MetricMean(mean=m) for n, m in _means(self._values(ids)).items()})
            for name, ids in sorted(self.groups.items())
        }
        zero = dict.fromkeys(self._metrics(), 0.0)
        return TaskReport(
            convention=self.convention,
            samples=self.samples,
            missing=self.missing,
            invalid=self.invalid,
            lost=self.lost,
            metrics=metrics,
            groups=groups,
            per_sample={sample_id: scores or zero for sample_id, scores in self.per_sample.items()},
        )

    def values(self) -> dict[str, list[float]]:
        """Name of a mean -> one value a sample; lost samples count as zeros."""
        return self._values(list(self.per_sample), self.lost)

    def _clusters(self, videos: Mapping[str, str]) -> list[str]:
        lost = [video_id for video_id, count in self.lost_videos.items() for _ in range(count)]
        return [videos.get(sample_id, sample_id) for sample_id in self.per_sample] + lost

    def _values(self, ids: Sequence[str], lost: int = 0) -> dict[str, list[float]]:
        columns: dict[str, list[float]] = {}
        for name in self._metrics():
            scores = [self.per_sample[sample_id].get(name, 0.0) for sample_id in ids] + [0.0] * lost
            columns[_mean_name(name)] = scores
            for threshold in _THRESHOLDS.get(name, ()):
                columns[f"{name}@{threshold}"] = [float(self.reaches(score, threshold)) for score in scores]
        return columns

    def _metrics(self) -> list[str]:
        return list(dict.fromkeys(name for scores in self.per_sample.values() for name in scores)) or ["tIoU", "vIoU"]


def _means(values: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: sum(column) / len(column) if column else 0.0 for name, column in values.items()}


def _rounded(interval: Interval) -> Interval:
    return round(interval[0], _DECIMALS), round(interval[1], _DECIMALS)


def _mean_name(metric: str) -> str:
    """m_tIoU of tIoU, gt_m_vIoU of gt_vIoU; J, F and accuracies keep their names."""
    return metric.replace("tIoU", "m_tIoU").replace("vIoU", "m_vIoU") if "IoU" in metric else metric


def scores_by_name(scores: Scores) -> dict[str, float | None]:
    """The scores of a tube under their names in results."""
    return {"tIoU": scores.t_iou, "vIoU": scores.v_iou, "gt_vIoU": scores.gt_v_iou}
