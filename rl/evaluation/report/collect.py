"""An evaluation as plain data for a page: its scores, what is wrong with its answers, and some samples with their frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from rl.evaluation.predictions import stored_predictions
from rl.evaluation.report.kinds import KINDS, chosen, kinds_of
from rl.evaluation.report.scores import score_table
from rl.evaluation.results import EvaluationResults
from storage.reader import Dataset
from storage.stages import StageStore
from tasks.benchmarks.samples import Target
from tasks.preview.collect import SAMPLE_COLUMNS
from tasks.preview.strips import Strip, clip_strips
from tasks.preview.timeline import AxisSpan, Tick, axis_span, ticks, visible_spans
from tasks.video.timeline import Timeline

_MOST_OBJECTS = 6
_BOX_COLUMNS = ["frame_index", "object_id", "x1", "y1", "x2", "y2"]
Box = tuple[float, ...]


@dataclass(frozen=True)
class Evaluated:
    """An evaluation that is to be shown.

    Attributes:
        name: under which it is shown.
        dataset: that was asked; None where it is not there any more: then no sample is shown.
        store: where its predictions are.
        results: its stored results.
        fallen: samples that scored more before, where it was compared.
    """

    name: str
    dataset: Dataset | None
    store: StageStore
    results: EvaluationResults
    fallen: Set[str] = frozenset()


class Lane(NamedTuple):
    """A row of a sample's timeline: an object, whether it is the answer and whether it was named, and when it is visible."""

    object_id: int
    category: str
    right: bool
    named: bool
    stretches: Sequence[AxisSpan]


Overlay = Sequence[tuple[str, float, float, float, float]]
"""Boxes on a picture, in per cent of its sides: (kind, x, y, width, height), kind `true` or `told`."""


class Entry(NamedTuple):
    """A sample: its rows of predictions and samples, what is wrong, scores, and what is drawn, in seconds of the clip."""

    row: Mapping[str, Any]
    truth: Mapping[str, Any]
    kinds: Sequence[str]
    scores: Mapping[str, float]
    strip: Strip
    overlays: Sequence[Overlay]
    true_span: AxisSpan | None
    told_span: AxisSpan | None
    lanes: Sequence[Lane]
    duration_s: float
    ticks: Sequence[Tick]


class Shown(NamedTuple):
    """An evaluation as a page shows it.

    Attributes:
        name: of the evaluation.
        params: what shaped its predictions.
        results: its stored results.
        scores: tables, each of one set of columns.
        tally: kind -> samples, all of them; empty where the dataset is gone.
        samples: that were asked.
        entries: some of them.
    """

    name: str
    params: Mapping[str, Any]
    results: EvaluationResults
    scores: Sequence[Sequence[Mapping[str, str]]]
    tally: Mapping[str, int]
    samples: int
    entries: Sequence[Entry]


def shown(evaluated: Evaluated, most: int, strip_bytes: int) -> Shown:
    """Read an evaluation.

    Args:
        evaluated: which.
        most: samples that get an entry; of more, some of each kind are taken.
        strip_bytes: JPEG bytes that all their frames may take before smaller copies stand in.
    """
    truths, scores = _truths(evaluated.dataset), _scores(evaluated.results)
    rows = {one.sample_id: one.row() for one in stored_predictions(evaluated.store) if one.sample_id in truths}
    kinds = {s: kinds_of(row, truths[s], scores.get(s, {}), s in evaluated.fallen) for s, row in rows.items()}
    counts = Counter(kind for found in kinds.values() for kind in found)
    some = chosen(kinds, most)
    entries = []
    for sample_id in some:
        assert evaluated.dataset is not None
        about = rows[sample_id], truths[sample_id], kinds[sample_id], scores.get(sample_id, {})
        entries.append(_entry(evaluated.dataset, *about, strip_bytes // len(some)))
    tally = {kind: counts[kind] for kind in KINDS if counts[kind]}
    results = evaluated.results
    tables: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for means in score_table(results):
        tables.setdefault(tuple(means), []).append(means)
    return Shown(evaluated.name, evaluated.store.spec.params, results, list(tables.values()), tally, results.samples, entries)


def _truths(dataset: Dataset | None) -> dict[str, dict[str, Any]]:
    """Sample -> its row, without targets."""
    if dataset is None:
        return {}
    return {row["sample_id"]: row for row in dataset.table("samples", SAMPLE_COLUMNS).to_pylist()}


def _scores(results: EvaluationResults) -> dict[str, dict[str, float]]:
    """Sample ID -> its scores by the first convention, with ID repair where there are boxes."""
    reports = results.first_scores.reports.values() if results.first_scores else ()
    return {sample_id: scores for report in reports for sample_id, scores in report.per_sample.items()}


def _entry(
    dataset: Dataset,
    row: Mapping[str, Any],
    truth: Mapping[str, Any],
    kinds: Sequence[str],
    scores: Mapping[str, float],
    strip_bytes: int,
) -> Entry:
    [video] = dataset.rows("videos", row["video_id"]).to_pylist()
    clip = next(c for c in dataset.rows("clips", row["video_id"]).to_pylist() if c["clip_id"] == truth["clip_id"])
    duration_s = clip["end_s"] - clip["start_s"]
    timeline = Timeline(np.asarray(video["times_s"]) - clip["start_s"], duration_s)
    whole = {**clip, "start_s": 0.0, "end_s": duration_s}
    [strip], _ = clip_strips([whole], dataset.rows("frames", row["video_id"]), timeline, strip_bytes)
    boxes = list(_boxes(dataset, row["video_id"]))
    return Entry(
        row,
        truth,
        kinds,
        scores,
        strip,
        list(_overlays(dataset, row, strip, boxes, (video["width"], video["height"]))),
        _span(truth, duration_s),
        _span(row, duration_s),
        list(_lanes(row, truth, video, clip, boxes, timeline)),
        duration_s,
        ticks(duration_s),
    )


def _span(row: Mapping[str, Any], duration_s: float) -> AxisSpan | None:
    """The row's span as far as it lies in the clip; None where there is none, or it runs backwards."""
    start_s, end_s = row["start_s"], row["end_s"]
    return None if start_s is None or end_s is None or end_s < start_s else axis_span(start_s, end_s, duration_s)


def _boxes(dataset: Dataset, video_id: str) -> Iterator[tuple[int, int, Box]]:
    """(frame, object, box) of every instance of a video, in the order of frames."""
    for row in dataset.rows("masks", video_id, _BOX_COLUMNS).to_pylist():
        yield row["frame_index"], row["object_id"], (row["x1"], row["y1"], row["x2"], row["y2"])


def _lanes(
    row: Mapping[str, Any],
    truth: Mapping[str, Any],
    video: Mapping[str, Any],
    clip: Mapping[str, Any],
    boxes: Sequence[tuple[int, int, Box]],
    timeline: Timeline,
) -> Iterator[Lane]:
    """Objects that are the answer or were named, those first that are both."""
    right, named = truth["answer_ids"], row["object_ids"]
    categories = {o["object_id"]: o["category"] for o in video["objects"]}
    inside = range(0) if clip["first_frame"] is None else range(clip["first_frame"], clip["last_frame"] + 1)
    for object_id in list(dict.fromkeys([*right, *named]))[:_MOST_OBJECTS]:
        frames = [frame for frame, i, _ in boxes if i == object_id and frame in inside]
        there = visible_spans(np.asarray(frames, np.int64), timeline) if frames else []
        yield Lane(object_id, categories.get(object_id, ""), object_id in right, object_id in named, there)


def _overlays(
    dataset: Dataset,
    row: Mapping[str, Any],
    strip: Strip,
    boxes: Sequence[tuple[int, int, Box]],
    size: tuple[int, int],
) -> Iterator[Overlay]:
    """On each picture, where the targets truly are, and where what was answered is."""
    targets = list(_targets(dataset, row))
    told = [(b["frame"], tuple(b["box"])) for b in row["boxes"]]
    told += [(frame, box) for frame, object_id, box in boxes if object_id in row["object_ids"]]
    for picture in strip.pictures:
        true = [box for target in targets if (box := target.box_at(picture.frame_index))]
        here = [("true", box) for box in true] + [("told", box) for frame, box in told if frame == picture.frame_index]
        yield [(kind, *_placed(box, size)) for kind, box in here]


def _targets(dataset: Dataset, row: Mapping[str, Any]) -> Iterator[Target]:
    samples = dataset.rows("samples", row["video_id"], ["sample_id", "targets"]).to_pylist()
    for told in next(s["targets"] for s in samples if s["sample_id"] == row["sample_id"]):
        if told["frames"]:
            yield Target(np.asarray(told["frames"], np.int64), np.asarray(told["boxes"], np.float64).reshape(-1, 4))


def _placed(box: Box, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """(x, y, width, height) in per cent of the frame's sides."""
    x1, y1, x2, y2 = (round(100 * side / whole, 2) for side, whole in zip(box, size * 2, strict=True))
    return x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)
