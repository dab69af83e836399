"""Evaluations as data of a page: scores, kinds of failure, and some samples with their frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rl.evaluation.predictions import StoredPrediction, stored_predictions
from rl.evaluation.report.cards import EvaluationSection, ObjectRow, OverlayBox, SampleCard
from rl.evaluation.report.kinds import KINDS, TrueSample, choose_samples, kinds_of
from rl.evaluation.report.scores import score_table
from rl.evaluation.results import EvaluationResults
from storage.reader import Dataset
from storage.rows import ClipRow, SampleRow
from storage.stages import StageStore
from tasks.benchmarks.samples import Target
from tasks.preview.strips import Strip, clip_strips
from tasks.preview.timeline import AxisSpan, axis_span, ticks, visible_spans
from tasks.video.timeline import Timeline

_MAX_OBJECTS = 6
_BOX_COLUMNS = ["frame_index", "object_id", "x1", "y1", "x2", "y2"]
_SPAN = ["start_s", "end_s"]
_TRUTH_COLUMNS = ["sample_id", "clip_id", "group", "sentence", "options", *_SPAN, "answer", "answer_ids", "reason"]
Box = tuple[float, ...]


@dataclass(frozen=True)
class ReportedEvaluation:
    """An evaluation that a report shows.

    Attributes:
        name: heading of its sections.
        dataset: that was evaluated; None where it no longer exists as it was: no sample is shown then.
        store: of its predictions.
        results: its stored results.
        fallen: IDs of samples whose accepted score is higher.
    """

    name: str
    dataset: Dataset | None
    store: StageStore
    results: EvaluationResults
    fallen: Set[str] = frozenset()


def evaluation_section(evaluation: ReportedEvaluation, limit: int, strip_bytes: int) -> EvaluationSection:
    """Read an evaluation.

    Args:
        evaluation: to be shown.
        limit: maximum number of samples with a card, some of each kind.
        strip_bytes: maximum JPEG bytes of all their frames; beyond it smaller copies are shown.
    """
    results, dataset = evaluation.results, evaluation.dataset
    truths, scores = {} if dataset is None else _truths(dataset), _scores(results)
    predictions = {one.sample_id: one for one in stored_predictions(evaluation.store) if one.sample_id in truths}
    kinds = {
        sample_id: kinds_of(one, truths[sample_id], scores.get(sample_id, {}), sample_id in evaluation.fallen)
        for sample_id, one in predictions.items()
    }
    chosen, cards = choose_samples(kinds, limit), []
    for sample_id in chosen:
        assert dataset is not None
        about = predictions[sample_id], truths[sample_id], kinds[sample_id], scores.get(sample_id, {})
        cards.append(_card(dataset, *about, strip_bytes // len(chosen)))
    counts = Counter(kind for own in kinds.values() for kind in own)
    tables: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in score_table(results):
        tables.setdefault(tuple(row), []).append(row)
    return EvaluationSection(
        name=evaluation.name,
        results=results,
        scores=list(tables.values()),
        tally={kind: counts[kind] for kind in KINDS if counts[kind]},
        samples=results.samples,
        cards=cards,
    )


def _truths(dataset: Dataset) -> dict[str, TrueSample]:
    return {row["sample_id"]: _truth(row) for row in dataset.table("samples", _TRUTH_COLUMNS).to_pylist()}


def _truth(row: SampleRow) -> TrueSample:
    span_s = None if row["start_s"] is None or row["end_s"] is None else (row["start_s"], row["end_s"])
    return TrueSample(
        sample_id=row["sample_id"],
        clip_id=row["clip_id"],
        group=row["group"],
        sentence=row["sentence"],
        answer=row["answer"],
        reason=row["reason"],
        options=tuple(row["options"] or ()),
        answer_ids=tuple(row["answer_ids"]),
        span_s=span_s,
    )


def _scores(results: EvaluationResults) -> dict[str, dict[str, float]]:
    """Sample ID -> its scores by the first convention, with ID repair where there are boxes."""
    reports = results.first_scores.reports.values() if results.first_scores else ()
    return {sample_id: scores for report in reports for sample_id, scores in report.per_sample.items()}


def _card(
    dataset: Dataset,
    prediction: StoredPrediction,
    truth: TrueSample,
    kinds: Sequence[str],
    scores: Mapping[str, float],
    strip_bytes: int,
) -> SampleCard:
    video_id = prediction.video_id
    [video] = dataset.rows("videos", video_id).to_pylist()
    clip: ClipRow = next(row for row in dataset.rows("clips", video_id).to_pylist() if row["clip_id"] == truth.clip_id)
    duration_s = clip["end_s"] - clip["start_s"]
    timeline = Timeline(np.asarray(video["times_s"]) - clip["start_s"], duration_s)
    whole: ClipRow = {**clip, "start_s": 0.0, "end_s": duration_s}
    [strip], _ = clip_strips([whole], dataset.rows("frames", video_id), timeline, strip_bytes)
    boxes = list(_boxes(dataset, video_id))
    categories = {row["object_id"]: row["category"] for row in video["objects"]}
    first, last = clip["first_frame"], clip["last_frame"]
    inside = range(0) if first is None or last is None else range(first, last + 1)
    inner = [(frame, object_id) for frame, object_id, _ in boxes if frame in inside]
    return SampleCard(
        prediction=prediction,
        truth=truth,
        kinds=kinds,
        scores=scores,
        strip=strip,
        overlays=list(_overlays(_targets(dataset, prediction), prediction, strip, boxes, (video["width"], video["height"]))),
        true_span=_on_axis(truth.span_s, duration_s),
        predicted_span=_on_axis(prediction.span_s, duration_s),
        objects=list(_objects(prediction, truth, categories, inner, timeline)),
        duration_s=duration_s,
        ticks=ticks(duration_s),
    )


def _on_axis(span_s: tuple[float, float] | None, duration_s: float) -> AxisSpan | None:
    """A span as far as it lies in the clip; None where there is none, or it runs backwards."""
    return None if span_s is None or span_s[1] < span_s[0] else axis_span(*span_s, duration_s)


def _boxes(dataset: Dataset, video_id: str) -> Iterator[tuple[int, int, Box]]:
    """(frame, object ID, box) of every instance of a video, in the order of frames."""
    for row in dataset.rows("masks", video_id, _BOX_COLUMNS).to_pylist():
        yield row["frame_index"], row["object_id"], (row["x1"], row["y1"], row["x2"], row["y2"])


def _objects(
    prediction: StoredPrediction,
    truth: TrueSample,
    categories: Mapping[int, str],
    instances: Sequence[tuple[int, int]],
    timeline: Timeline,
) -> Iterator[ObjectRow]:
    """Objects that are targets or named, targets first; `instances` are (frame, object ID) in the clip."""
    answer, named = truth.answer_ids, prediction.object_ids
    for object_id in list(dict.fromkeys([*answer, *named]))[:_MAX_OBJECTS]:
        frames = [frame for frame, other in instances if other == object_id]
        spans = visible_spans(np.asarray(frames, np.int64), timeline) if frames else []
        yield ObjectRow(
            object_id=object_id,
            category=categories.get(object_id, ""),
            is_answer=object_id in answer,
            predicted=object_id in named,
            spans=spans,
        )


def _overlays(
    targets: Sequence[Target],
    prediction: StoredPrediction,
    strip: Strip,
    boxes: Sequence[tuple[int, int, Box]],
    size: tuple[int, int],
) -> Iterator[list[OverlayBox]]:
    """True and predicted boxes on each picture; `boxes` are the instances of the video, `size` its (width, height)."""
    predicted: list[tuple[int, Box]] = [*prediction.boxes.items()]
    predicted += [(frame, box) for frame, object_id, box in boxes if object_id in prediction.object_ids]
    for picture in strip.pictures:
        true = [box for target in targets if (box := target.box_at(picture.frame_index))]
        yield [
            *(_overlay("true", box, size) for box in true),
            *(_overlay("predicted", box, size) for frame, box in predicted if frame == picture.frame_index),
        ]


def _targets(dataset: Dataset, prediction: StoredPrediction) -> list[Target]:
    samples = dataset.rows("samples", prediction.video_id, ["sample_id", "targets"]).to_pylist()
    rows = next(row["targets"] for row in samples if row["sample_id"] == prediction.sample_id)
    return [
        Target(np.asarray(row["frames"], np.int64), np.asarray(row["boxes"], np.float64).reshape(-1, 4))
        for row in rows
        if row["frames"]
    ]


def _overlay(kind: Literal["true", "predicted"], box: Box, size: tuple[int, int]) -> OverlayBox:
    x1, y1, x2, y2 = (round(100 * side / whole, 2) for side, whole in zip(box, size * 2, strict=True))
    return OverlayBox(kind=kind, x=x1, y=y1, width=round(x2 - x1, 2), height=round(y2 - y1, 2))
