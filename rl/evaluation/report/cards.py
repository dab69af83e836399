"""Data of a report page: evaluations, and some of their samples with frames, boxes and timeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from rl.evaluation.predictions import StoredPrediction
from rl.evaluation.report.kinds import TrueSample
from rl.evaluation.results import EvaluationResults
from tasks.preview.strips import Strip
from tasks.preview.timeline import AxisSpan, Tick


class ObjectRow(NamedTuple):
    """An object's row of a sample's timeline.

    Attributes:
        object_id: in the dataset.
        category: of the object.
        is_answer: whether it is a target of the sample.
        predicted: whether the prediction names it.
        spans: when it is visible.
    """

    object_id: int
    category: str
    is_answer: bool
    predicted: bool
    spans: Sequence[AxisSpan]


class OverlayBox(NamedTuple):
    """A box on a picture; position and size are per cent of the picture's sides."""

    kind: Literal["true", "predicted"]
    x: float
    y: float
    width: float
    height: float


class SampleCard(NamedTuple):
    """A sample of a report.

    Attributes:
        prediction: of the sample.
        truth: the sample.
        kinds: of failure, of `rl.evaluation.report.kinds.KINDS`.
        scores: metric -> score in [0, 1].
        strip: its frames.
        overlays: boxes on each picture of the strip.
        true_span, predicted_span: on the axis of the clip; None where there is none.
        objects: rows of the timeline.
        duration_s: of the clip.
        ticks: of the axis.
    """

    prediction: StoredPrediction
    truth: TrueSample
    kinds: Sequence[str]
    scores: Mapping[str, float]
    strip: Strip
    overlays: Sequence[Sequence[OverlayBox]]
    true_span: AxisSpan | None
    predicted_span: AxisSpan | None
    objects: Sequence[ObjectRow]
    duration_s: float
    ticks: Sequence[Tick]


class EvaluationSection(NamedTuple):
    """An evaluation as a page shows it.

    Attributes:
        name: of the evaluation.
        results: its stored results.
        scores: tables, each of one set of columns.
        tally: kind -> number of samples, over all samples; empty where the dataset no longer exists.
        samples: number of requested samples.
        cards: some of the samples.
    """

    name: str
    results: EvaluationResults
    scores: Sequence[Sequence[Mapping[str, str]]]
    tally: Mapping[str, int]
    samples: int
    cards: Sequence[SampleCard]
