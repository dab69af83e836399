"""`nightly/benchmarks`: what has changed is evaluated and compared with what was accepted; a fall fails the run.

A failed run is told of by the automation on failed runs (`stvg setup --notify`); its message names the samples that fell.
"""

from __future__ import annotations

from pathlib import Path

from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.schedules import Schedule

from flows.artifacts import MOST_ROWS, progress_artifact, report_artifact
from flows.families import by_function_name, flows_of
from infra.ray.backend import RayBackend
from rl.evaluation.nightly import run_nightly
from rl.evaluation.parameters import NIGHTLY, NightlyParameters
from rl.evaluation.regression import RegressionRun
from rl.evaluation.report.write import regression_report
from storage.progress import OnProgress

AT = "0 3 * * *"
"""When a night begins, UTC."""


def nightly_schedule() -> Schedule:
    """Every night; at work only where the nightly file is, so that a server without one is left in peace."""
    return Schedule(cron=AT, timezone="UTC", active=Path(NIGHTLY).is_file())


@task(name="night", cache_policy=NO_CACHE)
def night(parameters: NightlyParameters) -> RegressionRun:
    """Evaluate and compare, and show the outcome of each series as an artifact."""
    run = run_nightly(parameters, RayBackend(), _progress())
    rows = [{"series": one.series, "state": str(one.state), "summary": one.summary} for one in run.series]
    create_table_artifact(rows[:MOST_ROWS], key="night", description="Each series against its accepted scores, in per cent")
    report_artifact(regression_report(parameters, run), "the nights so far")
    return run


def _progress() -> OnProgress:
    return progress_artifact("renders", "Nothing to render yet", lambda p: f"{p.completed} of {p.total} videos rendered")


def run(parameters: NightlyParameters) -> list[str]:
    """Run a night; returns a line a series."""
    outcome = night(parameters)
    for one in outcome.series:
        get_run_logger().info(one.summary)
    if outcome.unchanged:
        get_run_logger().info("nothing has changed since these results were accepted: nothing was asked")
    outcome.check()
    return [one.summary for one in outcome.series]


FLOWS = flows_of("nightly", run)
__getattr__ = by_function_name(FLOWS)
