"""`reproduce/table-N`: what a table of the paper needs is built, trained and asked, and shown beside the paper's numbers.

A task a dataset and a training, then one that asks, which is tried again where an engine failed. What cannot be had here has a
reason in the table, and does not fail the run; what broke does.
"""

from __future__ import annotations

from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from flows.artifacts import MOST_ROWS, progress_artifact, report_artifact
from flows.families import by_function_name, flows_of
from flows.limits import gpu_slot
from flows.retries import AS_ENGINES_FAIL
from infra.report import report_of
from infra.tables.command import write_table
from infra.tables.form import ReproduceParameters
from infra.tables.plan import plan_rows
from infra.tables.steps import Answers, Lacks, answers, gpus_of, stop, take
from infra.tables.table import Reproduction, Step
from rl.engines.base import EngineError
from rl.paper.comparison import Unavailable
from storage.progress import OnProgress


@task(name="plan", cache_policy=NO_CACHE)
def planning(parameters: ReproduceParameters) -> Reproduction:
    """Show what is there, what is to be done, and what cannot."""
    table = parameters.reproduction()
    create_table_artifact(plan_rows(table)[:MOST_ROWS], key="plan", description=table.table.title)
    return table


@task(name="step", task_run_name="{name}", cache_policy=NO_CACHE)
def taking(name: str, table: Reproduction, step: Step, lacks: Lacks) -> Unavailable | None:
    """Build, render or train what is not there; why not, where it cannot be."""
    with gpu_slot(gpus_of(table, step)):
        lack = take(table, step, lacks, _progress(step.key, name))
    if lack:
        get_run_logger().warning("%s: %s", name, lack.reason)
    return lack


@task(name="answers", cache_policy=NO_CACHE, **AS_ENGINES_FAIL)
def asking(parameters: ReproduceParameters, table: Reproduction, lacks: Lacks) -> Answers:
    """Ask what was not asked yet, and show every number beside the paper's."""
    found = answers(table, lacks, _progress("evaluations", "evaluations"), parameters.at_once)
    stored = write_table(table, found)
    about = f"{table.table.title}: per cent, with the difference and its 95 % interval"
    rows = [cell.model_dump(mode="json") for cell in stored.cells[:MOST_ROWS]]
    create_table_artifact(rows, key="table", description=about)
    report_artifact(report_of(table.out, table.root), f"{parameters.table} and all else in '{table.out}'")
    if broken := [one for one in found.values() if isinstance(one, Unavailable) and one.transient]:
        raise EngineError(f"{len(broken)} of {len(found)} rows broke, the first since {broken[0].reason}")
    return found


def _progress(key: str, what: str) -> OnProgress:
    return progress_artifact(key, f"No {what} yet", lambda p: f"{what}: {p.completed} of {p.total} {p.stage}, {p.lost} lost")


def run(parameters: ReproduceParameters) -> int:
    """Make a table; returns how many of its rows have results."""
    table = planning(parameters)
    lacks: dict[str, Unavailable] = {}
    for step in table.steps:
        if lack := taking(step.name, table, step, lacks):
            lacks[step.name] = lack
    return sum(not isinstance(one, Unavailable) for one in asking(parameters, table, lacks).values())


def cancel(parameters: ReproduceParameters) -> None:
    """Stop what its steps have at work on a cluster."""
    stop(parameters.reproduction())


FLOWS = flows_of("reproduce", run, cancel)
__getattr__ = by_function_name(FLOWS)
