"""Table of the paper with the measured numbers beside the printed ones, as it is stored and as a report reads it."""

from __future__ import annotations

import json

from pydantic import BaseModel, ConfigDict, ValidationError

from storage.common.errors import InputError

TABLES_FOLDER = "tables"
"""Folder of these tables in an evaluations folder: `tables/table-7.json`."""
Range = tuple[float, float]


class PaperTableError(InputError):
    """A stored table that cannot be read."""


class TableCell(BaseModel):
    """One printed number and the measured one, both in per cent.

    Attributes:
        row: Name of the row, as printed.
        benchmark: Name of the benchmark.
        metric: Name of the metric.
        paper: Printed number; None for a dash.
        measured: Measured mean; None if there is none.
        interval: 95 % confidence interval of the measured mean; None if it is unknown.
        difference: Measured minus printed number; None if either is missing.
        difference_interval: Interval of the difference. The paper prints no spread, so it has the width of `interval`.
        reason: Reason why nothing was measured; empty if something was.
        note: Note on the row.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    row: str
    benchmark: str
    metric: str
    paper: float | None = None
    measured: float | None = None
    interval: Range | None = None
    difference: float | None = None
    difference_interval: Range | None = None
    reason: str = ""
    note: str = ""


class RowResults(BaseModel):
    """Place of the results that a row's numbers come from.

    Attributes:
        row: Name of the row.
        benchmark: Name of the benchmark.
        path: Path or URL of the `results.json` file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    row: str
    benchmark: str
    path: str


class PaperTable(BaseModel):
    """A table with all its cells.

    Attributes:
        table: Number of the table.
        title: Title of the table.
        miniature: Whether tiny models were evaluated on the generated benchmark, instead of the paper's.
        cells: One per printed number, row by row.
        results: Results files of the rows that were evaluated.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    table: str = ""
    title: str
    miniature: bool = False
    cells: tuple[TableCell, ...]
    results: tuple[RowResults, ...] = ()


def read_paper_table(name: str, content: bytes) -> PaperTable:
    """Read a stored table, also an older one, in which a cell's `reason` is called `why`.

    Args:
        name: Name of the file, for the error message.
        content: The JSON text.

    Raises:
        PaperTableError: The content is not a table.
    """
    try:
        stored = json.loads(content)
        for cell in stored["cells"]:
            if "why" in cell:
                cell["reason"] = cell.pop("why")
        return PaperTable.model_validate(stored)
    except (ValidationError, ValueError, TypeError, KeyError) as error:
        raise PaperTableError(f"'{name}' is damaged ({str(error).splitlines()[0]}): run `stvg reproduce` again") from error
