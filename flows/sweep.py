"""`sweep/file`: checkpoints, benchmarks, protocols and settings of markers, as a file combines them; planned, then run.

One task a flow run, which is tried again where an engine failed: what has its results is not asked again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from flows.artifacts import MOST_ROWS, progress_artifact, report_artifact
from flows.families import by_function_name, flows_of
from flows.retries import AS_ENGINES_FAIL
from infra.report import sweep_report
from infra.sweep_command import plan_rows, render_rows, score_rows
from infra.sweeping import render_missing, run_cells
from infra.sweeps import SweepParameters
from rl.engines.base import EngineError
from storage.progress import OnProgress, Progress


@task(name="cells", cache_policy=NO_CACHE, **AS_ENGINES_FAIL)
def sweeping(parameters: SweepParameters) -> list[dict[str, Any]]:
    """Show the plan, render and ask what is missing, and show every cell's scores."""
    sweep, log = parameters.sweep(), get_run_logger()
    standings = sweep.standings()
    planned = plan_rows(standings, {cell: sweep.parameters(cell).gpus for cell in sweep.cells})
    create_table_artifact(
        planned[:MOST_ROWS], key="plan", description=f"{len(planned)} cells; hours are of GPUs, as measured before"
    )
    log.info("%d datasets rendered", render_missing(sweep, _progress("renders", "videos")))
    report, ran = _progress("cells", "cells"), []
    for one in run_cells(sweep, standings, parameters.at_once):
        ran.append(one)
        report(Progress("cells", len(ran), len(sweep.cells), sum(r.results is None for r in ran)))
    about = "Means in per cent, 95 % intervals; with ID repair where there are boxes"
    create_table_artifact(score_rows(ran)[:MOST_ROWS], key="sweep", description=about)
    about = "Settings of markers, and what a clip took to be shown by them"
    create_table_artifact(render_rows(sweep)[:MOST_ROWS], key="rendered", description=about)
    report_artifact(sweep_report(sweep, ran, Path(parameters.file).stem), "the sweep's cells")
    if failed := [one for one in ran if one.asked and one.results is None]:
        raise EngineError(f"{len(failed)} of {len(ran)} cells failed, the first since {failed[0].why}")
    return [one.as_dict() for one in ran]


def _progress(key: str, what: str) -> OnProgress:
    return progress_artifact(key, f"No {what} yet", lambda p: f"{p.completed} of {p.total} {what}, {p.lost} without results")


def run(parameters: SweepParameters) -> int:
    """Run a sweep; returns how many cells it has."""
    return len(sweeping(parameters))


FLOWS = flows_of("sweep", run)
__getattr__ = by_function_name(FLOWS)
