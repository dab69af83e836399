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
from infra.nightly import NIGHTLY, Night, NightlyParameters, check, run_nightly
from infra.report import night_report
from storage.progress import OnProgress

AT = "0 3 * * *"
"""When a night begins, UTC."""


def nightly_schedule() -> Schedule:
    """Every night; at work only where the nightly file is, so that a server without one is left in peace."""
    there = Path(NIGHTLY).is_file()
    return Schedule(cron=AT, timezone="UTC", active=there)


@task(name="night", cache_policy=NO_CACHE)
def night(parameters: NightlyParameters) -> list[Night]:
    """Evaluate and compare, and show how each series fared."""
    nights = run_nightly(parameters, _progress())
    rows = [{"series": one.series, "state": one.state, "told": str(one)} for one in nights]
    create_table_artifact(rows[:MOST_ROWS], key="night", description="Each series beside what was accepted of it, in per cent")
    report_artifact(night_report(parameters, nights), "the nights so far")
    return nights


def _progress() -> OnProgress:
    return progress_artifact("renders", "Nothing to render yet", lambda p: f"{p.completed} of {p.total} videos rendered")


def run(parameters: NightlyParameters) -> list[str]:
    """Run a night; returns a line a series."""
    nights = night(parameters)
    for one in nights:
        get_run_logger().info(str(one))
    if all(one.state == "unchanged" for one in nights):
        get_run_logger().info("nothing has changed since these results were accepted: nothing was asked")
    check(nights)
    return [str(one) for one in nights]


FLOWS = flows_of("nightly", run)
__getattr__ = by_function_name(FLOWS)
