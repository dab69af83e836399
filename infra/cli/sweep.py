"""The command `stvg sweep`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.table import Table

from infra.cli.console import Bars, plain, printable, stoppable
from infra.cli.options import AsJson
from infra.sweep_command import plan_rows, render_rows, score_rows
from infra.sweeping import Ran, render_missing, run_cells
from infra.sweeps import SweepParameters


def sweep_command(
    parameters: SweepParameters,
    plan: Annotated[bool, typer.Option("--plan", help="Only show which cells there are, and what each lacks.")] = False,
    as_json: AsJson = False,
) -> None:
    """Plan or run a sweep, and print it."""
    sweep = parameters.sweep()
    standings = sweep.standings()  # what cannot be asked as it stands is found before anything is rendered
    if plan:
        rows = plan_rows(standings, {cell: sweep.parameters(cell).gpus for cell in sweep.cells})
        print(json.dumps({"cells": rows})) if as_json else show_rows(rows, "unknown")
        return
    ran: list[Ran] = []
    with stoppable(), Bars(as_json) as bars:
        render_missing(sweep, bars.update)
        for one in run_cells(sweep, standings, parameters.at_once):
            ran.append(one)
            bars.count("cells", len(ran), len(sweep.cells), sum(r.results is None for r in ran))
    if as_json:
        print(json.dumps({"cells": [one.as_dict() for one in ran], "renders": render_rows(sweep)}))
    else:
        show_rows(score_rows(ran), "")
        show_rows(render_rows(sweep), "")
        plain().print(f"{sum(one.asked for one in ran)} of {len(ran)} cells were asked")
    if any(one.asked and one.results is None for one in ran):
        raise typer.Exit(1)


def show_rows(rows: list[dict[str, Any]], absent: str) -> None:
    """Print rows as a table, what is None as `absent`; nothing where there are none."""
    if not rows:
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(_told(value, absent) for value in row.values()))
    plain().print(table)


def _told(value: Any, absent: str) -> str:
    return absent if value is None else f"{value:.2f}" if isinstance(value, float) else printable(value)
