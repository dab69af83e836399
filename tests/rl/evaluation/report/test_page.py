"""A report of a small evaluation, as data and in a real browser: nothing but its own script runs, whatever a model says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bench.scripted_engine import ScriptedEngine
from rl.engines.config import DecodingConfig
from rl.evaluation.history import HistoryRow
from rl.evaluation.paper_table import PaperTable
from rl.evaluation.protocols import PROTOCOLS
from rl.evaluation.report.collect import ReportedEvaluation, evaluation_section
from rl.evaluation.report.page import panels, write_report
from rl.evaluation.report.tables import by_benchmark
from rl.evaluation.results import score_predictions
from rl.evaluation.run import Evaluation, collect_predictions
from rl.models.families import FAMILIES, Model
from rl.paper.comparison import compare_table
from rl.paper.numbers import table_named
from storage.folders.open import folder_at
from storage.reader import Dataset

HOSTILE = '</pre></article><script>window.ran = 1</script><img src=x onerror="window.ran = 1">'
SAID = {
    "stvg": "<think>It is red.</think><answer>Target ID: 1, Time range: 0.5 to 1.5</answer>",
    "again": f"<think>{HOSTILE}</think><answer>Target ID: 2, Time range: 2.5 to 3.5</answer>",
    "svg": f"Target ID: 1 or 2 {HOSTILE}",
    "when": "Time range: 1.5s to 2s",
    "ask": HOSTILE,
}
KINDS = {
    "stvg": ["right"],
    "again": ["wrong ID", "wrong time"],
    "svg": ["unparsable"],
    "when": ["wrong time"],
    "ask": ["wrong answer"],
    "nothing": ["no reply"],
}
NIGHTS = [
    HistoryRow(datetime(2026, 3, day, 3, tzinfo=UTC), "tiny/<b>own</b>/marked", state, metric="vIoU", mean=mean)
    for day, state, mean in ((1, "new", 40.0), (2, "passed", 41.5), (3, "dropped", 20.0), (4, "failed", None))
]


@pytest.fixture
def evaluated(asked_dataset: Dataset, tmp_path: Path) -> ReportedEvaluation:
    model = Model("told", FAMILIES["qwen2.5-vl"], None)
    evaluation = Evaluation(asked_dataset, PROTOCOLS["marked"], model, DecodingConfig(), tmp_path / "answers")
    store = collect_predictions(evaluation, ScriptedEngine(by_key=SAID))
    return ReportedEvaluation("squares/marked/told", asked_dataset, store, score_predictions(asked_dataset, store, ["paper"]))


@pytest.fixture
def page_file(evaluated: ReportedEvaluation, tmp_path: Path) -> Path:
    """A report with everything in it."""
    report = evaluated.results.scores["paper"].results["spatio-temporal"]
    table = table_named(1)
    row = next(row for row in table.rows if row.ours)
    benchmark = next(iter(row.values))
    cells = compare_table(table, {(row.name, benchmark): report})
    stored = PaperTable(title="Table 1 <i>", cells=tuple(cells))
    write_report(folder_at(tmp_path), "report.html", "squares <i>", [evaluated], [stored], NIGHTS)
    return tmp_path / "report.html"


def test_samples_are_told_by_kind_with_what_is_true_beside_what_was_answered(evaluated: ReportedEvaluation) -> None:
    told = evaluation_section(evaluated, 60, 1_000_000)
    entries = {card.prediction.sample_id: card for card in told.cards}
    assert {sample: list(entry.kinds) for sample, entry in entries.items()} == KINDS
    assert told.tally == {"no reply": 1, "unparsable": 1, "wrong ID": 1, "wrong time": 2, "wrong answer": 1, "right": 1}
    again = entries["again"]
    assert (again.true_span, again.predicted_span) == ((37.5, 25.0, 1.5, 2.5), (62.5, 25.0, 2.5, 3.5)), (
        "per cent of four seconds"
    )
    assert [(one.object_id, one.is_answer, one.predicted) for one in again.objects] == [(1, True, False), (2, False, True)]
    assert [stretch.x for one in again.objects for stretch in one.spans] == pytest.approx([0, 37.5], abs=0.1)
    late = entries["stvg"]
    assert late.predicted_span == late.true_span == pytest.approx((100 / 6, 100 / 3, 0.5, 1.5), abs=0.01)
    assert {kind for boxes in late.overlays for kind, *_ in boxes} == {"true", "predicted"}
    kind, x, y, width, height = late.overlays[1][0]
    assert (kind, y, width, height) == ("true", 11.11, 16.67, 22.22)
    assert x == pytest.approx(100 * (10 + late.strip.pictures[1].frame_index) / 240, abs=0.01)
    assert entries["nothing"].strip.pictures == []


def test_few_samples_are_of_every_kind_and_those_that_fell_come_first(evaluated: ReportedEvaluation) -> None:
    few = evaluation_section(replace(evaluated, fallen={"when"}), 2, 1_000_000)
    assert len(few.cards) == 2
    assert few.tally["fell"] == 1
    assert few.samples == 6


def test_without_its_dataset_an_evaluation_has_scores_and_no_samples(evaluated: ReportedEvaluation, tmp_path: Path) -> None:
    gone = replace(evaluated, dataset=None)
    assert evaluation_section(gone, 60, 1_000_000).cards == []
    write_report(folder_at(tmp_path), "gone.html", "gone", [gone])
    assert "is not there any more" in (tmp_path / "gone.html").read_text()


def test_many_evaluations_share_the_samples_and_the_page_stays_small(evaluated: ReportedEvaluation, tmp_path: Path) -> None:
    write_report(folder_at(tmp_path), "many.html", "many", [evaluated] * 9, limit=6)
    text = (tmp_path / "many.html").read_text()
    assert text.count("<article") == 6
    assert text.count("1 of 6 samples, some of each kind") == 6


def test_curves_follow_a_series_where_it_has_a_mean_and_cells_keep_the_papers_order() -> None:
    [(name, [(metric, points)])] = panels(NIGHTS)
    assert (name, metric, [mean for _, mean in points]) == ("tiny/<b>own</b>/marked", "vIoU", [40.0, 41.5, 20.0])
    assert points[1][0] - points[0][0] == timedelta(days=1).total_seconds()
    table = table_named(1)
    told = by_benchmark(compare_table(table, {}))
    benchmark, metrics = next(iter(table.metrics.items()))
    assert told[benchmark].metrics == list(metrics)
    assert list(told[benchmark].rows) == [row.name for row in table.rows if benchmark in row.values]


@pytest.mark.heavy
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_draws_everything_and_runs_nothing_that_a_model_says(
    opened: Callable[..., Any], page_file: Path, scheme: str
) -> None:
    page, wrong = opened(page_file, 600, scheme)
    page.evaluate("Promise.all([...document.images].map(image => (image.loading = 'eager', image.decode())))")
    assert page.evaluate("document.images.length") > 5
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 50)")
    assert page.evaluate("document.documentElement.scrollWidth") == 600
    assert page.evaluate("[window.ran, document.scripts.length]") == [None, 1]
    card = page.locator("article", has=page.get_by_role("heading", name="again", exact=True))
    assert HOSTILE in card.locator(".thought").text_content()
    lane = card.locator(".lanes > svg").bounding_box()
    true, answered = (card.locator(f".lanes rect.{name}").bounding_box() for name in ("true", "predicted"))
    assert (true["x"] - lane["x"]) / lane["width"] == pytest.approx(0.375, abs=0.01)
    assert (answered["x"] - lane["x"]) / lane["width"] == pytest.approx(0.625, abs=0.01)
    assert true["width"] / lane["width"] == pytest.approx(0.25, abs=0.01)
    assert page.locator(".nights polyline").count() == 1
    assert page.locator(".nights > svg").bounding_box()["width"] > 400
    assert "dropped" not in page.locator(".nights tbody").text_content(), "the last night failed"
    assert wrong == []


@pytest.mark.heavy
def test_filters_show_one_kind_of_failure(opened: Callable[..., Any], page_file: Path) -> None:
    page, wrong = opened(page_file)

    def seen() -> set[str]:
        return set(page.locator("article:visible h3").all_text_contents())

    assert seen() == set(KINDS)
    for kind in ("wrong ID", "wrong time", "unparsable", "no reply"):
        page.select_option("#tag", kind)
        assert seen() == {sample for sample, kinds in KINDS.items() if kind in kinds}
    page.get_by_role("button", name="wrong answer").click()
    assert seen() == {"ask"}
    page.get_by_role("button", name="wrong answer").click()
    page.fill("#search", "it is red")
    assert seen() == {"stvg"}
    assert page.locator("#count").text_content() == "1 of 6"
    page.locator("article:visible .zoom").first.click()
    assert page.locator("dialog img").is_visible()
    assert wrong == []
