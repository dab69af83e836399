"""`sweep/file`: checkpoints, benchmarks, protocols and settings of markers, as a file combines them; planned, then run.

One task a flow run, which is tried again where an engine failed: what has its results is not asked again.
"""

from __future__ import annotations

from pathlib import Path

from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from flows.artifacts import MOST_ROWS, progress_artifact, report_artifact
from flows.families import by_function_name, flows_of
from flows.retries import AS_ENGINES_FAIL
from infra.ray.backend import RayBackend
from rl.engines.base import EngineError
from rl.evaluation.cells import CellResult, SweepRun
from rl.evaluation.parameters import SweepParameters
from rl.evaluation.report.scores import cell_plan_rows, cell_table, render_table
from rl.evaluation.report.write import sweep_report
from rl.evaluation.sweep_run import render_missing, render_timings, run_cells
from storage.progress import OnProgress, Progress


@task(name="cells", cache_policy=NO_CACHE, **AS_ENGINES_FAIL)
def run_sweep(parameters: SweepParameters) -> SweepRun:
    """Show the plan, render and evaluate what is missing, and show every cell's scores."""
    sweep, log = parameters.sweep(), get_run_logger()
    statuses = sweep.statuses()
    plan = cell_plan_rows(sweep.plan(statuses))
    create_table_artifact(plan[:MOST_ROWS], key="plan", description=f"{len(plan)} cells; hours are of GPUs, as measured before")
    log.info("%d datasets rendered", render_missing(sweep, RayBackend(), _progress("renders", "videos")))
    report, results = _progress("cells", "cells"), list[CellResult]()
    for result in run_cells(sweep, statuses, RayBackend(), parameters.at_once):
        results.append(result)
        report(Progress("cells", len(results), len(sweep.cells), sum(one.results is None for one in results)))
    run = SweepRun(cells=tuple(results), renders=tuple(render_timings(sweep)))
    about = "Means in per cent, 95 % intervals; with ID repair where there are boxes"
    create_table_artifact(cell_table(run.cells)[:MOST_ROWS], key="sweep", description=about)
    about = "Settings of markers, and what a clip took to be shown by them"
    create_table_artifact(render_table(run.renders)[:MOST_ROWS], key="rendered", description=about)
    report_artifact(sweep_report(sweep, run.cells, Path(parameters.file).stem), "the sweep's cells")
    if failed := [one for one in run.cells if one.evaluated and one.results is None]:
        raise EngineError(f"{len(failed)} of {len(run.cells)} cells failed, the first since {failed[0].reason}")
    return run


def _progress(key: str, what: str) -> OnProgress:
    return progress_artifact(key, f"No {what} yet", lambda p: f"{p.completed} of {p.total} {what}, {p.lost} without results")


def run(parameters: SweepParameters) -> int:
    """Run a sweep; returns how many cells it has."""
    return len(run_sweep(parameters).cells)


FLOWS = flows_of("sweep", run)
__getattr__ = by_function_name(FLOWS)
