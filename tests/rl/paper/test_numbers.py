from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest

from rl.evaluation.paper_table import TableCell
from rl.evaluation.protocols import PROTOCOLS
from rl.models.registry import MODEL_NAMES
from rl.paper.comparison import Unavailable, compare_table
from rl.paper.numbers import PaperError, table_named, tables
from rl.rewards import REWARDS
from storage.common.config import leaves
from tasks.build.parameters import BENCHMARKS
from tasks.metrics.report import MetricMean, Tally, TaskReport, scores_by_name
from tasks.metrics.tubes import Scores


def test_every_table_and_both_sections_on_rewards_are_there() -> None:
    assert list(tables()) == [*map(str, range(1, 12)), "4.5", "A.9"]
    counts = {number: len(table.rows) for number, table in tables().items()}
    assert counts == {
        "1": 15,
        "2": 7,
        "3": 9,
        "4": 5,
        "5": 7,
        "6": 8,
        "7": 5,
        "8": 5,
        "9": 2,
        "10": 2,
        "11": 3,
        "4.5": 3,
        "A.9": 2,
    }


@pytest.mark.parametrize(
    ("number", "row", "benchmark", "values"),
    [
        (1, "STVG-R1", "hcstvg-v2", (61.3, 40.8, 67.9, 38.8)),
        (2, "Qwen2.5-VL-7B +VisualPrompt", "st-align-svg", (57.7, 51.4, 46.6)),
        (3, "STVG-R1", "mevis", (44.7, 50.0, 47.3)),
        (5, "20 Mix", "hcstvg-v1", (38.7, 15.7, 20.0, 5.7)),
        (6, "1/2, upper bound", "hcstvg-v1", (100.0, 65.1, 89.9, 83.5)),
        (7, "+VisualPrompt-GRPO", "hcstvg-v2", (62.0, 40.2, 67.8, 38.8)),
        (8, "+GRPO", "st-align-stvg", (41.8, 43.7, 17.3, 20.0)),
        (11, "w/o backward tracking", "hcstvg-v1", (56.8, 28.4, 66.2, 37.1)),
    ],
)
def test_rows_are_as_printed(number: int, row: str, benchmark: str, values: tuple[float, ...]) -> None:
    assert table_named(number).row(row).values[benchmark] == values


def test_every_printed_row_of_numbers_is_in_the_file(shared: Path) -> None:
    """The text prints a row as a name and numbers with tabs between; table 6 prints two numbers a cell."""
    text = (shared / "reference" / "paper-stvg-r1.txt").read_text(encoding="utf-8")
    printed = [line for line in text.splitlines() if re.search(r"\t[\d<*-]", line)]
    theirs = sorted(sorted(_numbers(line)) for line in printed if not re.search(r"@|\d/\d+\.\d", line))
    ours = [
        sorted(value for values in row.values.values() for value in values if not math.isnan(value))
        for number, table in tables().items()
        for row in table.rows
        if number not in {"5", "6", "4.5", "A.9"}
    ]
    sized = [sorted([float(row.name.partition(" ")[0]), *row.values["hcstvg-v1"]]) for row in table_named(5).rows]
    assert sorted([*ours, *sized]) == theirs


def _numbers(line: str) -> list[float]:
    cells = [re.sub(r"<[^>]*>|\*|\$.*", "", cell).strip() for cell in line.split("\t")]
    return [float(cell) for cell in cells if re.fullmatch(r"\d+(\.\d+)?", cell)]


def test_what_a_row_names_exists() -> None:
    trainings = {*REWARDS, "sft"}
    for table in tables().values():
        assert set(table.metrics) <= set(BENCHMARKS)
        for row in table.rows:
            assert row.values.keys() == table.metrics.keys()
            assert {b: len(v) for b, v in row.values.items()} == {b: len(m) for b, m in table.metrics.items()}
            assert row.protocol in {"", "ceiling", *PROTOCOLS}
            assert row.model in {"", *MODEL_NAMES}
            assert row.training in {"", *trainings}
            assert bool(row.model) == (row.protocol not in {"", "ceiling"})
            assert set(row.build or ()) <= {leaf.name for leaf in leaves(BENCHMARKS["hcstvg-v1"])}


def test_contradictions_are_noted_and_table_4_is_run_unmarked() -> None:
    assert "62.0/40.2/67.8/38.8" in table_named(1).row("STVG-R1").note
    assert "38.4" in table_named(11).row("w/o backward tracking").note
    assert "16.1" in table_named(2).row("STVG-R1").note
    ours = table_named(4).row("STVG-R1")
    assert ours.protocol == "unmarked"
    assert ours.values == table_named(10).row("STVG-R1 w/o. visualprompt").values


@pytest.mark.parametrize("number", ["12", "0", "4.6"])
def test_a_table_that_does_not_exist_is_one_sentence(number: str) -> None:
    with pytest.raises(PaperError, match=rf"the paper has no table '{number}': choose from 1, 2, .* A\.9$"):
        table_named(number)


def report(*v_ious: float) -> TaskReport:
    made = Tally("paper", lambda value, threshold: value > threshold)
    for number, value in enumerate(v_ious):
        made.add(str(number), scores_by_name(Scores(1.0, value, value)))
    found = made.report()
    m_viou = MetricMean(mean=found.metrics["m_vIoU"].mean, interval=(0.2, 0.6))
    return found.model_copy(update={"metrics": {**found.metrics, "m_vIoU": m_viou}})


def test_what_was_measured_stands_beside_with_difference_and_interval_and_what_was_not_says_why() -> None:
    table = table_named(11)
    told = compare_table(
        table, {("Full pipeline", "hcstvg-v1"): report(0.3, 0.5), ("w/o re-detection", "hcstvg-v1"): Unavailable("no weights")}
    )
    by_cell = {(cell.row, cell.metric): cell for cell in told}
    assert len(told) == len(by_cell) == 12
    full = by_cell["Full pipeline", "m_vIoU"]
    assert asdict_rounded(full)["measured"] == 40.0
    assert (full.paper, full.reason) == (39.1, "")
    assert full.difference == pytest.approx(0.9)
    assert full.difference_interval == pytest.approx((20 - 39.1, 60 - 39.1))
    assert by_cell["Full pipeline", "m_tIoU"].interval is None, "nobody told one"
    lost = by_cell["w/o re-detection", "m_vIoU"]
    assert (lost.measured, lost.interval, lost.difference, lost.difference_interval) == (None, None, None, None)
    assert lost.reason == "no weights"
    assert by_cell["w/o backward tracking", "m_vIoU"].reason == "not run"


def asdict_rounded(cell: TableCell) -> dict[str, Any]:
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in cell.model_dump().items()}


def test_others_models_and_trainings_say_so_and_a_dash_has_no_difference() -> None:
    first = compare_table(table_named(1), {})
    assert {cell.reason for cell in first if cell.row == "TubeDETR"} == {"somebody else's model: its number is theirs"}
    [sft, *_] = [cell for cell in compare_table(table_named(7), {}) if cell.row == "+VisualPrompt-SFT"]
    assert sft.reason == "not run: needs 'qwen2.5-vl-7b' trained by 'sft'"
    [dash, _] = compare_table(table_named("A.9"), {("without format reward", "hcstvg-v1"): report(0.4)})
    assert dash.measured == pytest.approx(40)
    assert dash.difference is None
    with pytest.raises(PaperError, match="has no row 'STVG-R2'"):
        compare_table(table_named(1), {("STVG-R2", "hcstvg-v1"): Unavailable("?")})


def test_a_kind_of_question_is_the_mean_over_its_groups() -> None:
    made = Tally("mme_videoocr", lambda value, threshold: value > threshold)
    for number, (group, right) in enumerate([("TR/a", 1.0), ("TR/a", 1.0), ("TR/b", 0.0), ("TG/c", 1.0)]):
        made.add(str(number), {"accuracy": right}, group)
    told = compare_table(table_named(9), {("Qwen2.5-VL-7B", "mme-videoocr"): made.report()})
    measured = {cell.metric: cell.measured for cell in told if cell.row == "Qwen2.5-VL-7B"}
    assert measured["TR"] == pytest.approx(100 * 2 / 3)
    assert measured["TG"] == pytest.approx(100)
    assert measured["accuracy"] == pytest.approx(75)
    assert next(cell.reason for cell in told if cell.metric == "RVT") == "the results hold no RVT"
