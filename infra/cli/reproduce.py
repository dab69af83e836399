"""The command `stvg reproduce`."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.table import Column
from rich.table import Table as ConsoleTable

from infra.cli.console import Bars, plain, printable, show_rows, stoppable
from infra.cli.options import AsJson
from infra.tables.command import write_table
from infra.tables.form import ReproduceParameters
from infra.tables.plan import plan_rows
from infra.tables.steps import Answers, answers, take
from infra.tables.table import Reproduction
from rl.evaluation.paper_table import PaperTable, TableCell
from rl.paper.comparison import Unavailable
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
        print(json.dumps({"table": table.number, "parts": rows})) if as_json else show_rows(rows)
        return
    with stoppable(), Bars(as_json) as bars:
        found = _made(table, parameters.at_once, bars)
    stored = write_table(table, found)
    if as_json:
        print(stored.model_dump_json())
    else:
        show(table, stored)
    if any(isinstance(one, Unavailable) and one.transient for one in found.values()):
        raise typer.Exit(1)


def _made(table: Reproduction, at_once: int, bars: Bars) -> Answers:
    def bar(what: str) -> OnProgress:
        return lambda told: bars.count(f"{what} {told.stage}".strip(), told.completed, told.total, told.lost)

    lacks: dict[str, Unavailable] = {}
    for step in table.steps:
        if lack := take(table, step, lacks, bar(step.name)):
            lacks[step.name] = lack
    return answers(table, lacks, bar(""), at_once)


def show(table: Reproduction, stored: PaperTable) -> None:
    """Print one table per benchmark; a cell has the printed number, the measured one, their difference and its interval."""
    console = plain()
    if table.miniature:
        console.print("miniature: of the sample and tiny models, which says that it runs, and nothing of the paper's models")
    for benchmark, metrics in table.table.metrics.items():
        columns = (Column(name, overflow="fold") for name in ("", *metrics, "not run"))
        printed = ConsoleTable(*columns, title=f"{table.table.title}: {benchmark}", title_justify="left", show_lines=True)
        for row in table.table.rows:
            own = [cell for cell in stored.cells if (cell.row, cell.benchmark) == (row.name, benchmark)]
            printed.add_row(row.name, *map(_cell, own), next((printable(cell.reason) for cell in own if cell.reason), ""))
        console.print(printed)
    console.print("per cent: the paper's, and below it what was measured, its difference and the 95 % interval of that")
    for noted in (row for row in table.table.rows if row.note):
        console.print(f"{noted.name}: {noted.note}", soft_wrap=True)


def _cell(cell: TableCell) -> str:
    paper = "-" if cell.paper is None else f"{cell.paper:.1f}"
    if cell.measured is None:
        return paper
    if cell.difference is None:
        return f"{paper}\n{cell.measured:.1f}"
    between = "" if cell.difference_interval is None else "\n{:+.1f} to {:+.1f}".format(*cell.difference_interval)
    return f"{paper}\n{cell.measured:.1f}\n{cell.difference:+.1f}{between}"
