"""A table of the paper as a page shows it: one table per benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rl.evaluation.paper_table import TableCell


@dataclass
class PageRow:
    """A row of a table.

    Attributes:
        name: Name of the row.
        note: Note on the row.
        cells: Metric -> cell.
    """

    name: str
    note: str
    cells: dict[str, TableCell] = field(default_factory=dict)

    @property
    def reason(self) -> str | None:
        """The one reason that all cells have, empty for none; None if their reasons differ."""
        reasons = {cell.reason for cell in self.cells.values()}
        return reasons.pop() if len(reasons) == 1 else None


@dataclass
class PageTable:
    """The rows of a table on one benchmark.

    Attributes:
        metrics: Names of the columns, in the order of the paper.
        rows: Name of a row -> row, in the order of the paper.
    """

    metrics: list[str] = field(default_factory=list)
    rows: dict[str, PageRow] = field(default_factory=dict)


def by_benchmark(cells: Sequence[TableCell]) -> dict[str, PageTable]:
    """Group cells by benchmark, row and metric.

    Args:
        cells: Cells of one table, row by row.

    Returns:
        Benchmark -> its table.
    """
    tables: dict[str, PageTable] = {}
    for cell in cells:
        table = tables.setdefault(cell.benchmark, PageTable())
        if cell.metric not in table.metrics:
            table.metrics.append(cell.metric)
        table.rows.setdefault(cell.row, PageRow(cell.row, cell.note)).cells[cell.metric] = cell
    return tables
