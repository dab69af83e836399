"""Comparison of a table's printed numbers with measured ones."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from rl.evaluation.paper_table import TableCell
from rl.paper.numbers import Row, Table
from tasks.metrics.report import MetricMean, TaskReport

CellKey = tuple[str, str]
"""(row, benchmark) of a table."""


@dataclass(frozen=True)
class Unavailable:
    """The reason why something does not exist: a dataset, a model or results.

    Attributes:
        reason: One sentence.
        transient: Whether another attempt may succeed.
    """

    reason: str
    transient: bool = False


Measured = Mapping[CellKey, TaskReport | Unavailable]
"""Report of the main task for each row on each benchmark, or the reason why there is none."""


def compare_table(table: Table, measured: Measured) -> list[TableCell]:
    """Combine every printed number of a table with the measured one, row by row.

    Args:
        table: Table of the paper.
        measured: Reports; rows that are not in it were not run.

    Raises:
        PaperError: A report belongs to no row of the table.
    """
    for row_name, _ in measured:
        table.row(row_name)
    return [
        _cell(row, benchmark, metric, printed, measured.get((row.name, benchmark), _not_run(row)))
        for row in table.rows
        for benchmark, values in row.values.items()
        for metric, printed in zip(table.metrics[benchmark], values, strict=True)
    ]


def _not_run(row: Row) -> Unavailable:
    if not row.ours:
        return Unavailable("somebody else's model: its number is theirs")
    return Unavailable(f"not run: needs '{row.model}' trained by '{row.training}'" if row.training else "not run")


def _cell(row: Row, benchmark: str, metric: str, printed: float, report: TaskReport | Unavailable) -> TableCell:
    paper = None if math.isnan(printed) else printed
    cell = TableCell(row=row.name, benchmark=benchmark, metric=metric, paper=paper, note=row.note)
    if isinstance(report, Unavailable):
        return cell.model_copy(update={"reason": report.reason})
    score = _mean(report, metric)
    if score is None:
        return cell.model_copy(update={"reason": f"the results hold no {metric}"})
    measured = 100 * score.mean
    interval = (100 * score.interval[0], 100 * score.interval[1]) if score.interval else None
    values = {"measured": measured, "interval": interval}
    if paper is not None:
        values["difference"] = measured - paper
        values["difference_interval"] = (interval[0] - paper, interval[1] - paper) if interval else None
    return cell.model_copy(update=values)


def _mean(report: TaskReport, metric: str) -> MetricMean | None:
    """A mean of a report; for a kind of question, the mean over its groups, whose names begin with the kind."""
    if metric in report.metrics:
        return report.metrics[metric]
    groups = [group for name, group in report.groups.items() if name.partition("/")[0] == metric]
    samples = sum(group.samples for group in groups)
    total = sum(group.samples * group.metrics["accuracy"].mean for group in groups)
    return MetricMean(mean=total / samples) if samples else None
