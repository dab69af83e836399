from __future__ import annotations

from typing import Any

import pytest

from rl.engines.config import DecodingConfig
from rl.evaluation.cells import Cell
from rl.evaluation.comparison import Comparison, NightlyError, SeriesScores, compare_scores, series_name, series_scores
from rl.evaluation.results import EvaluationResults
from tasks.benchmarks.samples import Task
from tasks.metrics.report import ConventionScores, TaskReport

HALF = {f"{number:03d}": 0.5 for number in range(100)}


def of(scores: dict[str, float], key: str = "predictions-1", lost: int = 0) -> SeriesScores:
    kind = {"convention": "paper", "task": "spatio-temporal", "metric": "vIoU"}
    return SeriesScores.model_validate({"series": "tiny/own/marked", "key": key, **kind, "scores": scores, "lost": lost})


def test_the_same_scores_are_no_drop_and_nothing_changed() -> None:
    same = Comparison(difference=0.0, interval=(0.0, 0.0), dropped=False, changed={})
    assert compare_scores(of(HALF), of(HALF, "predictions-2"), 0.0) == same


def test_a_fall_beyond_the_tolerance_is_a_drop_and_names_samples_the_worst_first() -> None:
    worse = {**HALF, "003": 0.0, "007": 0.2, "008": 0.9, **{f"{number:03d}": 0.4 for number in range(50, 100)}}
    verdict = compare_scores(of(HALF), of(worse), 1.0)
    assert verdict.dropped
    assert verdict.difference == pytest.approx(-5.4)
    assert verdict.interval[0] < -5.4 < verdict.interval[1] < 0
    assert list(verdict.changed)[:2] == ["003", "007"]
    assert list(verdict.changed)[-1] == "008", "what rose comes last"
    assert verdict.changed["003"] == (0.5, 0.0)
    assert not compare_scores(of(HALF), of(worse), 6.0).dropped, "it is tolerated"


def test_a_fall_that_chance_explains_is_no_drop() -> None:
    noisy = {**HALF, "001": 0.0, "002": 1.0, "003": 0.0}
    verdict = compare_scores(of(HALF), of(noisy), 0.1)
    assert verdict.difference == pytest.approx(-0.5)
    assert not verdict.dropped


def test_a_fall_of_one_video_with_many_sentences_may_be_chance() -> None:
    names = sorted(HALF)
    fallen = {**HALF, **dict.fromkeys(names[: len(names) // 4], 0.0)}
    videos = {name: f"v{4 * n // len(names)}" for n, name in enumerate(names)}
    assert compare_scores(of(HALF), of(fallen), 0.1).dropped, "sentence by sentence"
    assert not compare_scores(of(HALF), of(fallen).model_copy(update={"videos": videos}), 0.1).dropped, "one of four videos"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"convention": "tubedetr"}, "accepted is vIoU of spatio-temporal by 'tubedetr', this is .* by 'paper'"),
        ({"metric": "tIoU"}, "accepted is tIoU of"),
        ({"lost": 1}, "these are others"),
        ({"scores": {"000": 0.5}}, "accepted are 1 samples and 0 lost ones, these are others"),
    ],
)
def test_what_is_not_comparable_is_not_compared(change: dict[str, Any], said: str) -> None:
    with pytest.raises(NightlyError, match=said):
        compare_scores(of(HALF).model_copy(update=change), of(HALF), 1.0)


def results_with(**scores: ConventionScores) -> EvaluationResults:
    return EvaluationResults(key="k", scores=scores)


def scores_of(
    convention: str, results: dict[Task, dict[str, Any]], repaired: dict[Task, dict[str, Any]] | None = None, lost: int = 0
) -> ConventionScores:
    reports = [
        {
            task: TaskReport(convention=convention, samples=len(rows) + lost * (len(rows) > 1), lost=lost, per_sample=rows)
            for task, rows in tasks.items()
        }
        for tasks in (results, repaired or {})
    ]
    return ConventionScores(dataset="own", content_hash="", predictions="given", results=reports[0], repaired=reports[1])


def test_scores_are_those_of_the_largest_task_with_repair_and_lost_samples_count() -> None:
    plain = {Task.SPATIO_TEMPORAL: {"a": {"tIoU": 1.0, "vIoU": 0.2}, "b": {}}, Task.TEMPORAL: {"c": {"tIoU": 1.0}}}
    mended = {Task.SPATIO_TEMPORAL: {"a": {"tIoU": 1.0, "vIoU": 0.6}, "b": {}}}
    found = series_scores("s", results_with(paper=scores_of("paper", plain, mended, lost=1)))
    assert (found.task, found.metric, found.scores, found.lost) == ("spatio-temporal", "vIoU", {"a": 0.6, "b": 0.0}, 1)
    assert found.mean == pytest.approx(0.2)
    assert found.key == "k"
    with pytest.raises(NightlyError, match="s has no scores to follow"):
        series_scores("s", results_with())


def test_without_places_times_are_followed_by_the_convention_whose_tiou_needs_no_boxes() -> None:
    def one(convention: str, iou: float) -> ConventionScores:
        return scores_of(convention, {Task.SPATIO_TEMPORAL: {"a": {"tIoU": iou, "vIoU": 0.0}}})

    results = results_with(hcstvg_official=one("hcstvg_official", 0.0), paper=one("paper", 0.5))
    found = [series_scores("s", results, places) for places in (True, False)]
    assert [(s.convention, s.metric, s.mean) for s in found] == [("hcstvg_official", "vIoU", 0.0), ("paper", "tIoU", 0.5)]


def test_a_series_is_named_by_cell_and_decoding() -> None:
    cell = Cell("tiny", "own", "marked")
    greedy, drawn = (series_name(cell, DecodingConfig(temperature=t)) for t in (0, 1))
    assert greedy.startswith("tiny/own/marked/")
    assert greedy != drawn
