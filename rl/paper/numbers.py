"""What the paper prints, from `paper.toml`, and what was measured beside it."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from storage.common.errors import InputError
from tasks.metrics.report import MetricMean, TaskReport


class PaperError(InputError):
    """A table that the paper does not have."""


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        name: as printed.
        values: benchmark -> per cent, in the order of the table's metrics; nan where a dash is printed.
        model: who answers; empty for somebody else's model, which is not run here.
        training: what it is trained by before; empty for none.
        protocol: how it is asked; `ceiling` asks nobody.
        build: parameters of the dataset's build that are not the default.
        note: what is to be known of it.
    """

    name: str
    values: Mapping[str, tuple[float, ...]]
    model: str = ""
    training: str = ""
    protocol: str = ""
    build: Mapping[str, bool | float | str] | None = None
    note: str = ""

    @property
    def ours(self) -> bool:
        """Whether it can be run here, given weights and hardware."""
        return bool(self.protocol)


@dataclass(frozen=True)
class Table:
    """A table of the paper; `metrics` names the values of a row, by benchmark."""

    title: str
    metrics: Mapping[str, tuple[str, ...]]
    rows: tuple[Row, ...]

    def row(self, name: str) -> Row:
        """The row of this name.

        Raises:
            PaperError: there is none.
        """
        for row in self.rows:
            if row.name == name:
                return row
        raise PaperError(f"'{self.title}' has no row '{name}': choose from {', '.join(row.name for row in self.rows)}")


@dataclass(frozen=True)
class Variant:
    """A training that a row names.

    Attributes:
        kind: `grpo`, or `sft` where true answers are imitated.
        reward: of `rl.rewards`; imitation has none.
        protocol: how sentences are asked in it.
    """

    kind: str = "grpo"
    reward: str = ""
    protocol: str = "marked"

    @property
    def given(self) -> dict[str, str]:
        """What is set for it of a training's parameters."""
        return {"protocol": self.protocol, **({"reward": self.reward} if self.reward else {})}


@cache
def tables() -> Mapping[str, Table]:
    """Every table by its number; rewards by the section that speaks of them."""
    return TypeAdapter(dict[str, Table]).validate_python(_told()["tables"])


@cache
def variants() -> Mapping[str, Variant]:
    """Every training that rows name."""
    return TypeAdapter(dict[str, Variant]).validate_python(_told()["trainings"])


def _told() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("paper.toml").read_text(encoding="utf-8"))


def table_named(number: str | int) -> Table:
    """A table by its number, `4.5` or `A.9`.

    Raises:
        PaperError: the paper has no such table.
    """
    if str(number) not in tables():
        raise PaperError(f"the paper has no table '{number}': choose from {', '.join(tables())}")
    return tables()[str(number)]


def told(cells: Sequence[Beside]) -> list[dict[str, Any]]:
    """What stands beside each other as JSON values, null where there is no number."""
    return [
        {name: None if value is cell.paper and math.isnan(value) else value for name, value in cell._asdict().items()}
        for cell in cells
    ]


def name_of(number: str) -> str:
    """A table's name by its number: of a deployment, and for a person."""
    return f"table-{number.lower()}"


Measured = Mapping[tuple[str, str], TaskReport | str]
"""(row, benchmark) -> the report of its main task, or the reason why it was not run."""


class Beside(NamedTuple):
    """One number of the paper and one measured; all in per cent.

    Attributes:
        row, benchmark, metric: which.
        paper: nan where the paper prints none.
        measured: None where it was not run.
        interval: that the measured mean may lie in; None where it is not known.
        difference: measured less the paper's; None where either is missing.
        difference_interval: of the difference; the paper's own spread is not known, so that it is that of the measured mean.
        why: it was not run; empty where it was.
        note: of the row.
    """

    row: str
    benchmark: str
    metric: str
    paper: float
    measured: float | None = None
    interval: tuple[float, float] | None = None
    difference: float | None = None
    difference_interval: tuple[float, float] | None = None
    why: str = ""
    note: str = ""


def beside(table: Table, measured: Measured) -> list[Beside]:
    """Every number of a table with what was measured, row by row; where nothing was, why.

    Raises:
        PaperError: something was measured that is no row of the table.
    """
    for name, _ in measured:
        table.row(name)
    return [
        _compared(row, benchmark, metric, paper, measured.get((row.name, benchmark), _not_run(row)))
        for row in table.rows
        for benchmark, values in row.values.items()
        for metric, paper in zip(table.metrics[benchmark], values, strict=True)
    ]


def _not_run(row: Row) -> str:
    if not row.ours:
        return "somebody else's model: its number is theirs"
    return f"not run: needs '{row.model}' trained by '{row.training}'" if row.training else "not run"


def _compared(row: Row, benchmark: str, metric: str, paper: float, report: TaskReport | str) -> Beside:
    if isinstance(report, str):
        return Beside(row.name, benchmark, metric, paper, why=report, note=row.note)
    score = _mean(report, metric)
    if score is None:
        return Beside(row.name, benchmark, metric, paper, why=f"the results hold no {metric}", note=row.note)
    measured, known = 100 * score.mean, not math.isnan(paper)
    interval = (100 * score.interval[0], 100 * score.interval[1]) if score.interval else None
    difference = measured - paper if known else None
    between = (interval[0] - paper, interval[1] - paper) if interval and known else None
    return Beside(row.name, benchmark, metric, paper, measured, interval, difference, between, note=row.note)


def _mean(report: TaskReport, metric: str) -> MetricMean | None:
    """A mean of a report; of questions also one over a kind of them, which is how their groups begin."""
    if metric in report.metrics:
        return report.metrics[metric]
    kind = [group for name, group in report.groups.items() if name.partition("/")[0] == metric]
    samples = sum(group.samples for group in kind)
    total = sum(group.samples * group.metrics["accuracy"].mean for group in kind)
    return MetricMean(mean=total / samples) if samples else None
