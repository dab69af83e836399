"""The command `stvg reproduce`."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Column
from rich.table import Table as Shown

from infra.cli.console import Bars, plain, printable, stoppable
from infra.cli.options import AsJson
from infra.cli.sweep import show_rows
from infra.tables.command import compared, keep
from infra.tables.form import ReproduceParameters
from infra.tables.plan import plan_rows
from infra.tables.steps import Answers, Lack, answers, take
from infra.tables.table import Reproduction
from rl.paper.numbers import Beside
from storage.progress import OnProgress


def reproduce_command(
    parameters: ReproduceParameters,
    plan: Annotated[bool, typer.Option("--plan", help="Only show what is there, what is to be done, and what cannot.")] = False,
    as_json: AsJson = False,
) -> None:
    """Plan or make a table of the paper, and print it; fails where something broke that another try may mend."""
    table = parameters.reproduction()
    if plan:
        rows = plan_rows(table)
        print(json.dumps({"table": table.number, "parts": rows})) if as_json else show_rows(rows, "")
        return
    with stoppable(), Bars(as_json) as bars:
        found = _made(table, parameters.at_once, bars)
    data = keep(table, found)
    if as_json:
        print(json.dumps(data))
    else:
        show(table, compared(table, found))
    if any(isinstance(one, Lack) and one.broken for one in found.values()):
        raise typer.Exit(1)


def _made(table: Reproduction, at_once: int, bars: Bars) -> Answers:
    def bar(what: str) -> OnProgress:
        return lambda told: bars.count(f"{what} {told.stage}".strip(), told.completed, told.total, told.lost)

    lacks: dict[str, Lack] = {}
    for step in table.steps:
        if lack := take(table, step, lacks, bar(step.name)):
            lacks[step.name] = lack
    return answers(table, lacks, bar(""), at_once)


def show(table: Reproduction, cells: Sequence[Beside]) -> None:
    """Print a table a benchmark: in each cell the paper's number, below it the measured one, its difference and interval."""
    console = plain()
    if table.miniature:
        console.print("miniature: of the sample and tiny models, which says that it runs, and nothing of the paper's models")
    for benchmark, metrics in table.table.metrics.items():
        columns = (Column(name, overflow="fold") for name in ("", *metrics, "not run"))
        shown = Shown(*columns, title=f"{table.table.title}: {benchmark}", title_justify="left", show_lines=True)
        for row in table.table.rows:
            own = [cell for cell in cells if (cell.row, cell.benchmark) == (row.name, benchmark)]
            shown.add_row(row.name, *map(_cell, own), next((printable(cell.why) for cell in own if cell.why), ""))
        console.print(shown)
    console.print("per cent: the paper's, and below it what was measured, its difference and the 95 % interval of that")
    for noted in (row for row in table.table.rows if row.note):
        console.print(f"{noted.name}: {noted.note}", soft_wrap=True)


def _cell(cell: Beside) -> str:
    paper = "-" if math.isnan(cell.paper) else f"{cell.paper:.1f}"
    if cell.measured is None:
        return paper
    if cell.difference is None:
        return f"{paper}\n{cell.measured:.1f}"
    between = "" if cell.difference_interval is None else "\n{:+.1f} to {:+.1f}".format(*cell.difference_interval)
    return f"{paper}\n{cell.measured:.1f}\n{cell.difference:+.1f}{between}"
