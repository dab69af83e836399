"""Deployments `reproduce/<table>`: a task for each dataset and training, and one that evaluates and compares with the paper.

The evaluations are retried where an engine failed. Rows that cannot be run here have a reason in the table and do not fail the
run; rows that failed for the moment do.
"""

from __future__ import annotations

from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from flows.artifacts import MOST_ROWS, progress_artifact, report_artifact
from flows.families import by_function_name, flows_of
from flows.limits import gpu_slot
from flows.retries import AS_ENGINES_FAIL
from infra.ray.backend import RayBackend
from rl.engines.base import EngineError
from rl.evaluation.report.write import folder_report
from rl.paper.comparison import Unavailable
from rl.paper.evaluations import Outcomes, Unmet, evaluate_parts
from rl.paper.parameters import ReproduceParameters
from rl.paper.plan import plan_table
from rl.paper.steps import gpus_of, run_step, stop_steps
from rl.paper.store import write_table
from rl.paper.table import Reproduction, Step
from storage.progress import OnProgress


@task(name="plan", cache_policy=NO_CACHE)
def planning(parameters: ReproduceParameters) -> Reproduction:
    """Publish the plan of the table as an artifact."""
    table = parameters.reproduction()
    parts = plan_table(table, RayBackend()).parts[:MOST_ROWS]
    rows = [{"row": part.row, "benchmark": part.benchmark, "state": part.description} for part in parts]
    create_table_artifact(rows, key="plan", description=table.table.title)
    return table


@task(name="step", task_run_name="{name}", cache_policy=NO_CACHE)
def run_reproduction_step(name: str, table: Reproduction, step: Step, unmet: Unmet) -> Unavailable | None:
    """Run a step and log the reason if it fails."""
    with gpu_slot(gpus_of(table, step)):
        failure = run_step(table, step, unmet, RayBackend(), _progress(step.key, name))
    if failure:
        get_run_logger().warning("%s: %s", name, failure.reason)
    return failure


@task(name="answers", cache_policy=NO_CACHE, **AS_ENGINES_FAIL)
def evaluating(parameters: ReproduceParameters, table: Reproduction, unmet: Unmet) -> Outcomes:
    """Evaluate the parts of the table, and publish the comparison as artifacts."""
    outcomes = evaluate_parts(table, unmet, RayBackend(), _progress("evaluations", "evaluations"), parameters.at_once)
    stored = write_table(table, outcomes)
    about = f"{table.table.title}: per cent, with the difference and its 95 % interval"
    rows = [cell.model_dump(mode="json") for cell in stored.cells[:MOST_ROWS]]
    create_table_artifact(rows, key="table", description=about)
    report_artifact(folder_report(table.out, table.root), f"{parameters.table} and all else in '{table.out}'")
    if failed := [one for one in outcomes.values() if isinstance(one, Unavailable) and one.transient]:
        raise EngineError(f"{len(failed)} of {len(outcomes)} rows broke, the first since {failed[0].reason}")
    return outcomes


def _progress(key: str, name: str) -> OnProgress:
    return progress_artifact(key, f"No {name} yet", lambda p: f"{name}: {p.completed} of {p.total} {p.stage}, {p.lost} lost")


def run(parameters: ReproduceParameters) -> int:
    """Reproduce a table; returns the number of rows on benchmarks that have results."""
    table = planning(parameters)
    unmet: dict[str, Unavailable] = {}
    for step in table.steps:
        if failure := run_reproduction_step(step.name, table, step, unmet):
            unmet[step.name] = failure
    return sum(not isinstance(one, Unavailable) for one in evaluating(parameters, table, unmet).values())


def cancel(parameters: ReproduceParameters) -> None:
    """Stop the jobs of the table's steps that run on a cluster."""
    stop_steps(parameters.reproduction(), RayBackend())


FLOWS = flows_of("reproduce", run, cancel)
__getattr__ = by_function_name(FLOWS)
