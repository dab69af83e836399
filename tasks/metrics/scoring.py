"""Scoring a published dataset: predictions name objects and seconds, the mask database says what boxes and frames those are.

Boxes come from the whole mask database, drawn or not. Every sample that was planned is in a denominator: those without a
prediction, and those of lost videos, score zero and are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from storage.reader import Dataset
from tasks.benchmarks.samples import Task
from tasks.metrics.arrays import StoredSample, StoredVideo, lost_samples, stored_videos
from tasks.metrics.cases import rules_named
from tasks.metrics.conventions import DEFAULT, Convention
from tasks.metrics.predictions import Prediction, PredictionsError, read_predictions
from tasks.metrics.questions import Judge, is_right
from tasks.metrics.repair import repair, repair_released
from tasks.metrics.report import Report, named
from tasks.metrics.segmentation import j_and_f_of
from tasks.metrics.temporal import TemporalConvention
from tasks.metrics.tubes import Case, Tube, filled_tube

CEILING = "ceiling"
Span = tuple[int, int]


@dataclass
class DatasetScores:
    """Scores of a dataset by task, as predicted, and with ID repair where there are boxes.

    Attributes:
        results: task -> report.
        repaired: task -> report with ID repair.
        frames: of the repaired tubes: `kept`, `corrected`, `fallback`.
        unmatched: predictions that name no sample of the dataset.
        without_truth: samples whose truth is not public: nothing can be said of them.
        unjudged: questions that take a judge, and there was none.
    """

    dataset: str
    content_hash: str
    source: str
    results: dict[str, Report] = field(default_factory=dict)
    repaired: dict[str, Report] = field(default_factory=dict)
    frames: Counter[str] = field(default_factory=Counter)
    unmatched: int = 0
    without_truth: int = 0
    unjudged: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        reports = {name: report.as_dict() for name, report in self.results.items()}
        repaired = {name: report.as_dict() for name, report in self.repaired.items()}
        told = {"dataset": self.dataset, "content_hash": self.content_hash, "predictions": self.source}
        counts = {"unmatched": self.unmatched, "without_truth": self.without_truth, "unjudged": self.unjudged}
        return {**told, **counts, "results": reports, "repaired": repaired, "repaired_frames": dict(self.frames)}


def score_dataset(
    dataset: Dataset,
    predictions: Path | Mapping[str, Prediction] | None,
    convention: str = DEFAULT,
    judge: Judge | None = None,
) -> DatasetScores:
    """Score a dataset.

    Args:
        dataset: what was asked.
        predictions: what was answered, as a file or by sample; None scores the true times and answer IDs, which gives the
            ceiling.
        convention: of boxes or of times; what it says nothing of follows the paper's.
        judge: decides questions that no rule can.

    Raises:
        ScoreError: there is no such convention.
        PredictionsError: the file cannot be used, or none of its samples stands in the dataset.
    """
    rule, temporal = rules_named(convention)
    answers = read_predictions(predictions) if isinstance(predictions, Path) else predictions
    manifest = dataset.manifest
    source = CEILING if answers is None else str(predictions) if isinstance(predictions, Path) else "given"
    scores = DatasetScores(manifest.dataset, manifest.content_hash, source)
    scorer = _Scorer(scores, rule, temporal, judge, dataset)
    matched = 0
    for video in stored_videos(dataset):
        for sample in video.samples:
            given = _truth(sample) if answers is None else answers.get(sample.sample_id)
            matched += given is not None
            scorer.score(video, sample, given, ceiling=answers is None)
    if answers is not None and not matched:
        raise PredictionsError(f"'{source}' names no sample of '{manifest.dataset}': is it of another dataset?")
    scores.unmatched = 0 if answers is None else len(answers) - matched
    _count_lost(dataset, scores)
    return scores


def _truth(sample: StoredSample) -> Prediction:
    return Prediction(sample.answer_ids, sample.span_s, sample.answer)


def _count_lost(dataset: Dataset, scores: DatasetScores) -> None:
    """Samples of lost videos go to the denominator of the dataset's main task: their own is not known any more."""
    lost = lost_samples(dataset)
    for reports in (scores.results, scores.repaired):
        if reports:
            max(reports.values(), key=lambda report: report.samples).lost = lost


class _Scorer:
    """Scores one sample after another into the reports of their tasks."""

    def __init__(
        self,
        scores: DatasetScores,
        rule: Convention,
        temporal: TemporalConvention,
        judge: Judge | None,
        dataset: Dataset,
    ) -> None:
        self._scores, self._rule, self._temporal, self._judge, self._dataset = scores, rule, temporal, judge, dataset
        self._repair = repair_released if rule.name == "stvg_r1_released" else repair

    def score(self, video: StoredVideo, sample: StoredSample, given: Prediction | None, ceiling: bool) -> None:
        """Score a sample; `ceiling` takes the true frames for the predicted ones."""
        if sample.task in {Task.SPATIO_TEMPORAL, Task.SPATIAL}:
            self._boxes(video, sample, given, ceiling)
        elif sample.task is Task.TEMPORAL:
            self._times(sample, given)
        elif sample.task is Task.SEGMENTATION:
            self._masks(video, sample, given)
        else:
            self._question(sample, given)

    def _report(self, sample: StoredSample, name: str, repaired: bool = False) -> Report:
        reports = self._scores.repaired if repaired else self._scores.results
        rule = self._temporal if sample.task is Task.TEMPORAL else self._rule
        return reports.setdefault(sample.task.value, Report(name, rule.reaches))

    def _boxes(self, video: StoredVideo, sample: StoredSample, given: Prediction | None, ceiling: bool) -> None:
        if sample.span is None or not sample.targets:
            self._scores.without_truth += 1
            return
        plain, mended = (self._report(sample, self._rule.name, repaired) for repaired in (False, True))
        span = sample.span if ceiling or sample.task is Task.SPATIAL else _span(video, sample, given)
        if given is None or span is None:
            for report in (plain, mended):
                report.add(sample.sample_id, None if given is None else {}, sample.group)
            return
        found, fixed = self._answered(video, given, span)
        scores = self._compare(video, sample, found, given)
        plain.add(sample.sample_id, scores, sample.group)
        again = scores if fixed is found else self._compare(video, sample, fixed, given)
        mended.add(sample.sample_id, again, sample.group)

    def _answered(self, video: StoredVideo, given: Prediction, span: Span) -> tuple[Tube, Tube]:
        """The tube that an answer means in a span, and the repaired one; times alone mean an empty one."""
        if given.object_ids and not given.boxes:
            return self._tubes(video, given.object_ids[0], span)
        told = filled_tube(span, given.boxes) if given.boxes else Tube(*span, np.empty(0, np.int64), np.empty((0, 4)))
        return told, told

    def _tubes(self, video: StoredVideo, object_id: int, span: Span) -> tuple[Tube, Tube]:
        """The object's tube in the span, and the repaired one; the same where the ID is on every frame with objects."""
        low, high = np.searchsorted(video.frames, [span[0], span[1] + 1])
        frames, objects, boxes = video.frames[low:high], video.objects[low:high], video.boxes[low:high]
        own = objects == object_id
        found = Tube(*span, frames[own], boxes[own])
        if int(own.sum()) == len(np.unique(frames)):
            self._scores.frames["kept"] += int(own.sum())
            return found, found
        placed: dict[int, dict[int, Any]] = {}
        for frame, other, box in zip(frames.tolist(), objects.tolist(), boxes.tolist(), strict=True):
            placed.setdefault(frame, {})[other] = tuple(box)
        fixed = self._repair(placed, object_id, span)
        self._scores.frames.update(kept=fixed.kept, corrected=fixed.corrected, fallback=fixed.fallback)
        return found, fixed.tube

    def _compare(self, video: StoredVideo, sample: StoredSample, found: Tube, given: Prediction) -> Mapping[str, float | None]:
        assert sample.span is not None
        [truth, *_] = sample.targets
        case = Case(
            sample.sample_id,
            video.timeline.fps,
            len(video.timeline.times_s),
            Tube(*sample.span, truth.frames, truth.boxes),
            found,
            sample.clip,
            _shifted(sample.span_s, sample.clip_start_s),
            _shifted(given.span_s if sample.task is Task.SPATIO_TEMPORAL else sample.span_s, sample.clip_start_s),
        )
        return named(self._rule.score(case))

    def _times(self, sample: StoredSample, given: Prediction | None) -> None:
        if sample.span_s is None:
            self._scores.without_truth += 1
            return
        report = self._report(sample, self._temporal.name)
        if given is None:
            report.add(sample.sample_id, None, sample.group)
        else:
            iou = 0.0 if given.span_s is None else self._temporal.score(sample.span_s, given.span_s)
            report.add(sample.sample_id, {"tIoU": iou}, sample.group)

    def _masks(self, video: StoredVideo, sample: StoredSample, given: Prediction | None) -> None:
        if not any(target.counts for target in sample.targets):
            self._scores.without_truth += 1
            return
        j, f = (0.0, 0.0) if given is None else j_and_f_of(self._dataset, video, sample.targets, given.object_ids)
        scores = None if given is None else {"J": j, "F": f, "J&F": (j + f) / 2}
        self._report(sample, "davis").add(sample.sample_id, scores, sample.group)

    def _question(self, sample: StoredSample, given: Prediction | None) -> None:
        method, task = sample.record.rpartition("|")[2], sample.group.rpartition("/")[2]
        right: bool | None = False
        if given is not None and given.answer is not None:
            right = is_right(method or "containment_match", task, sample.answer, given.answer, self._judge)
        self._scores.unjudged += right is None
        report = self._report(sample, "mme_videoocr")
        report.add(sample.sample_id, None if given is None else {"accuracy": float(bool(right))}, sample.group)


def _span(video: StoredVideo, sample: StoredSample, given: Prediction | None) -> Span | None:
    """The frames on screen in the predicted seconds; None if they are none."""
    if given is None or given.span_s is None or given.span_s[1] <= given.span_s[0]:
        return None
    frames = video.timeline.range_of(*(sample.clip_start_s + time for time in given.span_s))
    return frames[0], frames[-1]


def _shifted(span: tuple[float, float] | None, by: float) -> tuple[float, float] | None:
    return None if span is None else (span[0] + by, span[1] + by)
