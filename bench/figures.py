"""What a benchmark reports: a figure measured beside the figure asked for, or the reason why it could not run."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


class NotRunError(Exception):
    """A benchmark that cannot run here; the message says why and what it needs."""


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        figure: what is measured, with its unit.
        measured: the value.
        asked: the bound, as asked for; empty where the figure is only reported.
        holds: whether the bound holds; None without one.
        how: how it was measured, in a few words.
    """

    figure: str
    measured: float
    asked: str
    holds: bool | None
    how: str


def at_most(figure: str, measured: float, bound: float, how: str) -> Figure:
    """A figure that should not exceed `bound`."""
    return Figure(figure, round(measured, 4), f"<= {bound:g}", measured <= bound, how)


def at_least(figure: str, measured: float, bound: float, how: str) -> Figure:
    """A figure that should reach `bound`."""
    return Figure(figure, round(measured, 4), f">= {bound:g}", measured >= bound, how)


def told(figure: str, measured: float, how: str) -> Figure:
    """A figure without a bound."""
    return Figure(figure, round(measured, 4), "", None, how)


def keep(name: str, figures: Sequence[Figure]) -> None:
    """Print figures as a table and write them to `results/<name>.json`."""
    _write(RESULTS / f"{name}.json", [asdict(figure) for figure in figures])
    (RESULTS / "not_run" / f"{name}.json").unlink(missing_ok=True)
    table = Table("figure", "measured", "asked", "holds", "how", title=name, title_justify="left")
    for f in figures:
        table.add_row(f.figure, f"{f.measured:g}", f.asked, {True: "yes", False: "NO", None: ""}[f.holds], f.how)
    Console().print(table)


def keep_not_run(name: str, reason: str) -> None:
    """Write the reason why a benchmark did not run to `results/not_run/<name>.json`."""
    _write(RESULTS / "not_run" / f"{name}.json", {"reason": reason})
    (RESULTS / f"{name}.json").unlink(missing_ok=True)
    Console().print(f"{name}: not run: {reason}", highlight=False)


def _write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def shared(*parts: str) -> Path:
    """A file of the third-party material in $STVG_SHARED.

    Raises:
        NotRunError: it is not there.
    """
    folder = os.environ.get("STVG_SHARED")
    if not folder:
        raise NotRunError("it needs third-party files: set STVG_SHARED to their folder")
    path = Path(folder).joinpath(*parts)
    if not path.exists():
        raise NotRunError(f"it needs {path}")
    return path
