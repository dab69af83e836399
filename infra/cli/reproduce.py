"""The command `stvg reproduce`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column
from rich.table import Table as ConsoleTable

from infra.cli.console import Bars, plain, printable, stoppable
from infra.cli.options import AsJson
from rl.paper.parameters import ReproduceParameters

if TYPE_CHECKING:
    from rl.evaluation.paper_table import PaperTable, TableCell
    from rl.paper.plan import TablePlan
    from rl.paper.table import Reproduction
    from storage.progress import OnProgress


@stoppable()
def reproduce_command(
    parameters: ReproduceParameters,
    plan: Annotated[bool, typer.Option("--plan", help="Only print what exists, what would be run, and what cannot.")] = False,
    as_json: AsJson = False,
) -> None:
    """Reproduce a table of the paper and print it; fails if something failed that another attempt may mend."""
    from infra.ray.backend import RayBackend
    from rl.paper.comparison import Unavailable
    from rl.paper.evaluations import evaluate_parts
    from rl.paper.plan import plan_table
    from rl.paper.steps import run_step
    from rl.paper.store import write_table

    table, backend = parameters.reproduction(), RayBackend()
    if plan:
        _show_plan(plan_table(table, backend), as_json)
        return
    unmet: dict[str, Unavailable] = {}
    with Bars(as_json) as bars:
        for step in table.steps:
            if reason := run_step(table, step, unmet, backend, _labelled(bars, step.name)):
                unmet[step.name] = reason
        outcomes = evaluate_parts(table, unmet, backend, bars.update, parameters.at_once)
    stored = write_table(table, outcomes)
    if as_json:
        print(stored.model_dump_json())
    else:
        show_table(table, stored)
    if any(isinstance(outcome, Unavailable) and outcome.transient for outcome in outcomes.values()):
        raise typer.Exit(1)


def _labelled(bars: Bars, label: str) -> OnProgress:
    return lambda progress: bars.count(f"{label} {progress.stage}", progress.completed, progress.total, progress.lost)


def _show_plan(plan: TablePlan, as_json: bool) -> None:
    if as_json:
        print(plan.model_dump_json())
        return
    printed = ConsoleTable("row", "benchmark", "state")
    for part in plan.parts:
        printed.add_row(*map(printable, (part.row, part.benchmark, part.description)))
    plain().print(printed)


def show_table(table: Reproduction, stored: PaperTable) -> None:
    """Print one table per benchmark; a cell has the printed number, the measured one, their difference and its interval.

    Args:
        table: Rows and metrics in the order of the paper.
        stored: Cells with the measured numbers.
    """
    console = plain()
    if table.miniature:
        console.print("miniature: of the sample and tiny models, which says that it runs, and nothing of the paper's models")
    for benchmark, metrics in table.table.metrics.items():
        columns = (Column(name, overflow="fold") for name in ("", *metrics, "not run"))
        printed = ConsoleTable(*columns, title=f"{table.table.title}: {benchmark}", title_justify="left", show_lines=True)
        for row in table.table.rows:
            cells = [cell for cell in stored.cells if (cell.row, cell.benchmark) == (row.name, benchmark)]
            reason = next((printable(cell.reason) for cell in cells if cell.reason), "")
            printed.add_row(row.name, *map(_cell_text, cells), reason)
        console.print(printed)
    console.print("per cent: the paper's, and below it what was measured, its difference and the 95 % interval of that")
    for row in table.table.rows:
        if row.note:
            console.print(f"{row.name}: {row.note}", soft_wrap=True)


def _cell_text(cell: TableCell) -> str:
    lines = ["-" if cell.paper is None else f"{cell.paper:.1f}"]
    if cell.measured is not None:
        lines.append(f"{cell.measured:.1f}")
    if cell.difference is not None:
        lines.append(f"{cell.difference:+.1f}")
    if cell.difference_interval is not None:
        lines.append("{:+.1f} to {:+.1f}".format(*cell.difference_interval))
    return "\n".join(lines)
