"""Scoring of predictions on a published dataset: predicted objects and times are resolved by the mask database.

Boxes come from the whole mask database, marked or not. Every planned sample is in a denominator: samples without a prediction
and samples of lost videos score zero and are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from storage.reader import Dataset
from tasks.benchmarks.samples import Task
from tasks.metrics.arrays import StoredSample, StoredVideo, lost_samples, stored_videos
from tasks.metrics.cases import find_rules
from tasks.metrics.conventions import DEFAULT, Convention
from tasks.metrics.predictions import Prediction, PredictionsError, read_predictions
from tasks.metrics.questions import Judge, is_correct
from tasks.metrics.repair import repair, repair_released
from tasks.metrics.report import ConventionScores, RepairedFrames, Tally, scores_by_name
from tasks.metrics.sample_spans import Span, can_be_scored, predicted_frames, shifted, true_seconds
from tasks.metrics.segmentation import segmentation_scores
from tasks.metrics.temporal import TemporalConvention
from tasks.metrics.tubes import Case, Tube, filled_tube

CEILING = "ceiling"


def score_dataset(
    dataset: Dataset,
    predictions: Path | Mapping[str, Prediction] | None,
    convention: str = DEFAULT,
    judge: Judge | None = None,
    intervals: bool = False,
) -> ConventionScores:
    """Score predictions for the samples of a dataset.

    Args:
        dataset: a published dataset.
        predictions: a predictions file, or sample ID -> prediction; None scores the true times and answer IDs, which gives the
            upper bound.
        convention: spatio-temporal or temporal convention; other tasks use the paper's.
        judge: decides questions that need a judge; they score zero without one.
        intervals: whether means have confidence intervals.

    Raises:
        ScoreError: there is no convention of this name.
        PredictionsError: the file is invalid, or none of its samples is in the dataset.
    """
    rule, temporal = find_rules(convention)
    answers = read_predictions(predictions) if isinstance(predictions, Path) else predictions
    manifest = dataset.manifest
    source = CEILING if answers is None else str(predictions) if isinstance(predictions, Path) else "given"
    scorer = _Scorer(rule, temporal, judge, dataset)
    matched, videos = 0, dict[str, str]()
    for video in stored_videos(dataset):
        for sample in video.samples:
            given = _truth(sample) if answers is None else answers.get(sample.sample_id)
            matched += given is not None
            videos[sample.sample_id] = video.video_id
            scorer.score(video, sample, given, ceiling=answers is None)
    if answers is not None and not matched:
        raise PredictionsError(f"'{source}' names no sample of '{manifest.dataset}': is it of another dataset?")
    scorer.count_lost(lost_samples(dataset))
    return ConventionScores(
        dataset=manifest.dataset,
        content_hash=manifest.content_hash,
        predictions=source,
        unmatched=0 if answers is None else len(answers) - matched,
        without_truth=scorer.without_truth,
        unjudged=scorer.unjudged,
        results={task: tally.report(intervals, videos) for task, tally in scorer.plain.items()},
        repaired={task: tally.report(intervals, videos) for task, tally in scorer.repaired.items()},
        repaired_frames=RepairedFrames(**scorer.frames),
        videos=videos,
    )


def _truth(sample: StoredSample) -> Prediction:
    return Prediction(sample.answer_ids, sample.span_s, sample.answer)


class _Scorer:
    """Adds one sample after another to the tallies of their tasks.

    Attributes:
        plain: task -> scores of the answers as predicted.
        repaired: task -> scores with ID repair.
        frames: frames of the repaired tubes, by the origin of their box.
        without_truth: samples whose truth is not public.
        unjudged: questions that need a judge where there is none.
    """

    def __init__(self, rule: Convention, temporal: TemporalConvention, judge: Judge | None, dataset: Dataset) -> None:
        self._rule, self._temporal, self._judge, self._dataset = rule, temporal, judge, dataset
        self._repair = repair_released if rule.name == "stvg_r1_released" else repair
        self.plain: dict[Task, Tally] = {}
        self.repaired: dict[Task, Tally] = {}
        self.frames: Counter[str] = Counter()
        self.without_truth = self.unjudged = 0

    def count_lost(self, lost: Mapping[str, int]) -> None:
        """Add samples of lost videos to the denominator of the main task, since their tasks are unknown."""
        for tallies in (self.plain, self.repaired):
            if tallies:
                max(tallies.values(), key=lambda tally: tally.samples).lost_videos = lost

    def score(self, video: StoredVideo, sample: StoredSample, given: Prediction | None, ceiling: bool) -> None:
        """Score a sample; `ceiling` uses the true frames instead of the predicted ones."""
        if given is not None and given.invalid:
            self._reject(sample, given.invalid)
        elif sample.task in {Task.SPATIO_TEMPORAL, Task.SPATIAL}:
            self._boxes(video, sample, given, ceiling)
        elif sample.task is Task.TEMPORAL:
            self._times(video, sample, given)
        elif sample.task is Task.SEGMENTATION:
            self._masks(video, sample, given)
        else:
            self._question(sample, given)

    def _reject(self, sample: StoredSample, reason: str) -> None:
        """Count a prediction that cannot be used: its sample scores zero."""
        if not can_be_scored(sample):
            self.without_truth += 1
            return
        names = {Task.TEMPORAL: self._temporal.name, Task.SEGMENTATION: "davis", Task.QUESTION: "mme_videoocr"}
        boxed = sample.task not in names
        for repaired in (False, True) if boxed else (False,):
            tally = self._tally(sample, names.get(sample.task, self._rule.name), repaired)
            tally.add(sample.sample_id, None, sample.group, invalid=reason)

    def _tally(self, sample: StoredSample, name: str, repaired: bool = False) -> Tally:
        tallies = self.repaired if repaired else self.plain
        rule = self._temporal if sample.task is Task.TEMPORAL else self._rule
        return tallies.setdefault(sample.task, Tally(name, rule.reaches))

    def _boxes(self, video: StoredVideo, sample: StoredSample, given: Prediction | None, ceiling: bool) -> None:
        if not can_be_scored(sample):
            self.without_truth += 1
            return
        assert sample.span is not None
        plain, repaired = (self._tally(sample, self._rule.name, repaired) for repaired in (False, True))
        span = sample.span if ceiling or sample.task is Task.SPATIAL else predicted_frames(video, sample, given)
        if given is None or span is None:
            for tally in (plain, repaired):
                tally.add(sample.sample_id, None if given is None else {}, sample.group)
            return
        predicted, mended = self._predicted_tubes(video, given, span)
        scores = self._compare(video, sample, predicted, given)
        plain.add(sample.sample_id, scores, sample.group)
        again = scores if mended is predicted else self._compare(video, sample, mended, given)
        repaired.add(sample.sample_id, again, sample.group)

    def _predicted_tubes(self, video: StoredVideo, given: Prediction, span: Span) -> tuple[Tube, Tube]:
        """Predicted tube in a span, and the repaired one; a prediction of times only has no boxes."""
        if given.object_ids and not given.boxes:
            return self._tubes(video, given.object_ids[0], span)
        tube = filled_tube(span, given.boxes) if given.boxes else Tube(*span, np.empty(0, np.int64), np.empty((0, 4)))
        return tube, tube

    def _tubes(self, video: StoredVideo, object_id: int, span: Span) -> tuple[Tube, Tube]:
        """Tube of the object in the span, and the repaired one; both are equal if the ID is on every frame with objects."""
        low, high = np.searchsorted(video.frames, [span[0], span[1] + 1])
        frames, objects, boxes = video.frames[low:high], video.objects[low:high], video.boxes[low:high]
        own = objects == object_id
        predicted = Tube(*span, frames[own], boxes[own])
        if int(own.sum()) == len(np.unique(frames)):
            self.frames["kept"] += int(own.sum())
            return predicted, predicted
        placed: dict[int, dict[int, Any]] = {}
        for frame, other, box in zip(frames.tolist(), objects.tolist(), boxes.tolist(), strict=True):
            placed.setdefault(frame, {})[other] = tuple(box)
        mended = self._repair(placed, object_id, span)
        self.frames.update(kept=mended.kept, corrected=mended.corrected, fallback=mended.fallback)
        return predicted, mended.tube

    def _compare(
        self, video: StoredVideo, sample: StoredSample, predicted: Tube, given: Prediction
    ) -> Mapping[str, float | None]:
        assert sample.span is not None
        [truth, *_] = sample.targets
        predicted_s = given.span_s if sample.task is Task.SPATIO_TEMPORAL else sample.span_s
        case = Case(
            sample_id=sample.sample_id,
            fps=video.timeline.fps,
            frame_count=len(video.timeline.times_s),
            truth=Tube(*sample.span, truth.frames, truth.boxes),
            predicted=predicted,
            clip=sample.clip,
            truth_s=shifted(sample.span_s, sample.clip_start_s),
            predicted_s=shifted(predicted_s, sample.clip_start_s),
        )
        return scores_by_name(self._rule.score(case))

    def _times(self, video: StoredVideo, sample: StoredSample, given: Prediction | None) -> None:
        true_s = true_seconds(video, sample)
        if true_s is None:
            self.without_truth += 1
            return
        tally = self._tally(sample, self._temporal.name)
        if given is None:
            tally.add(sample.sample_id, None, sample.group)
        else:
            iou = 0.0 if given.span_s is None else self._temporal.score(true_s, given.span_s)
            tally.add(sample.sample_id, {"tIoU": iou}, sample.group)

    def _masks(self, video: StoredVideo, sample: StoredSample, given: Prediction | None) -> None:
        if not can_be_scored(sample):
            self.without_truth += 1
            return
        j, f = (0.0, 0.0) if given is None else segmentation_scores(self._dataset, video, sample.targets, given.object_ids)
        scores = None if given is None else {"J": j, "F": f, "J&F": (j + f) / 2}
        self._tally(sample, "davis").add(sample.sample_id, scores, sample.group)

    def _question(self, sample: StoredSample, given: Prediction | None) -> None:
        right: bool | None = False
        if given is not None and given.answer is not None:
            right = is_correct(sample.question, sample.answer, given.answer, self._judge)
        self.unjudged += right is None
        tally = self._tally(sample, "mme_videoocr")
        tally.add(sample.sample_id, None if given is None else {"accuracy": float(bool(right))}, sample.group)
