"""The command `stvg sweep`."""

from __future__ import annotations

from typing import Annotated

import typer

from infra.cli.console import Bars, plain, show_rows, stoppable
from infra.cli.options import AsJson
from rl.evaluation.parameters import SweepParameters


def sweep_command(
    parameters: SweepParameters,
    plan: Annotated[bool, typer.Option("--plan", help="Only show the cells and what is left to do for each.")] = False,
    as_json: AsJson = False,
) -> None:
    """Plan or run a sweep, and print it."""
    from infra.ray.backend import RayBackend
    from rl.evaluation.cells import SweepPlan, SweepRun
    from rl.evaluation.report.scores import cell_plan_rows, cell_table, render_table
    from rl.evaluation.sweep_run import render_missing, render_timings, run_cells

    sweep = parameters.sweep()
    statuses = sweep.statuses()  # a cell that cannot be evaluated as it is fails before anything is rendered
    if plan:
        plans = SweepPlan(cells=tuple(sweep.plan(statuses)))
        print(plans.model_dump_json()) if as_json else show_rows(cell_plan_rows(plans.cells))
        return
    results, backend = [], RayBackend()
    with stoppable(), Bars(as_json) as bars:
        render_missing(sweep, backend, bars.update)
        for result in run_cells(sweep, statuses, backend, parameters.at_once):
            results.append(result)
            bars.count("cells", len(results), len(sweep.cells), sum(one.results is None for one in results))
    run = SweepRun(cells=tuple(results), renders=tuple(render_timings(sweep)))
    if as_json:
        print(run.model_dump_json())
    else:
        show_rows(cell_table(run.cells))
        show_rows(render_table(run.renders))
        plain().print(f"{sum(one.evaluated for one in run.cells)} of {len(run.cells)} cells were evaluated")
    if any(one.evaluated and one.results is None for one in run.cells):
        raise typer.Exit(1)
