"""`train-grpo/<recipe>`, `train-sft/<recipe>`: rows, checks, the training as a Ray Job, its curves, and what is asked then.

The training may be tried again: it is attached to where it runs, and goes on from its last whole checkpoint where it broke.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from prefect import State, get_run_logger, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.deployments import run_deployment

from flows.artifacts import MOST_ROWS, progress_artifact
from flows.families import by_function_name, flows_of
from flows.limits import gpu_slot
from flows.retries import may_pass
from infra.forms.training import TrainParameters
from infra.ray import gpus as ray_gpus
from infra.ray import job as ray_job
from infra.train import Prepared, following, job_of, prepare, run_training
from rl.training.checkpoints import MODEL, Lineage, OnStep, read_steps
from rl.training.curves import CURVES, CURVES_FILE, draw_curves, summary
from storage.progress import Progress

_ONCE: dict[str, Any] = {"cache_policy": NO_CACHE}
_DRAW_S = 20.0
"""Between two drawings of the curves."""


@task(name="prepare", **_ONCE)
def preparing(parameters: TrainParameters) -> Prepared:
    """Make the rows and find out what can be wrong; show what is trained on, and by which recipe."""
    prepared = prepare(parameters)
    counts = [{"samples": name, "count": count} for name, count in prepared.record.counts.items()]
    create_table_artifact(counts, key="rows", description="What is trained on, and what is left out and why")
    values = [{"value": name, "is": value} for name, value in asdict(prepared.recipe).items()]
    create_table_artifact(values, key="recipe", description=f"{parameters.recipe}, {prepared.steps} steps")
    return prepared


@task(name="cluster", retries=2, retry_delay_seconds=10, **_ONCE)
def cluster(parameters: TrainParameters, prepared: Prepared) -> list[ray_gpus.Gpu]:
    """Make sure that the cluster has the GPUs, unless the training is at work on them already."""
    found = ray_gpus.gpus(parameters.ray)
    create_table_artifact(
        [{**asdict(gpu), "pids": str(gpu.pids)} for gpu in found], key="gpus", description="Before the training"
    )
    if ray_job.running(job_of(parameters)) is None:
        ray_gpus.check_free(parameters.ray, prepared.recipe.devices)
    return found


@task(name="train", retries=1, retry_delay_seconds=30, retry_condition_fn=may_pass, **_ONCE)
def training(parameters: TrainParameters, prepared: Prepared) -> Lineage:
    """Train to the end; curves and the last steps are shown as it goes."""
    picture = prepared.folder / CURVES_FILE  # drawn with the first step
    create_link_artifact(picture.as_uri(), link_text="Curves", key="curves-picture", description="Curves of every number")
    made = run_training(parameters, prepared, _watch(prepared))
    _draw(prepared)
    return made


def _watch(prepared: Prepared) -> OnStep:
    report = progress_artifact("steps", "No step has ended yet", _told)
    drawn = 0.0

    def on_step(step: Mapping[str, Any]) -> None:
        nonlocal drawn
        report(Progress("train", step["step"], step["of"], 0))
        if time.monotonic() - drawn > _DRAW_S:
            drawn = time.monotonic()
            _draw(prepared)

    return on_step


def _told(progress: Progress) -> str:
    return f"step {progress.completed} of {progress.total}"


def _draw(prepared: Prepared) -> None:
    """Curves as a picture in the run's folder, and as lines of blocks in an artifact."""
    steps = read_steps(prepared.folder)
    draw_curves(prepared.folder, steps)
    rows = ["| | first | last | |", "|---|---|---|---|"]
    rows += [f"| {name} | {first:.4g} | {last:.4g} | `{line}` |" for name, first, last, line in summary(steps)]
    create_markdown_artifact("\n".join(rows), key="curves", description=f"{len(steps)} of {prepared.steps} steps")
    create_table_artifact(_last(steps), key="last-steps", description="The last steps")


def _last(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = ("step", *CURVES)
    return [{name: step[name] for name in names if name in step} for step in steps[-min(50, MOST_ROWS) :]]


@task(name="register", **_ONCE)
def registered(prepared: Prepared, made: Lineage) -> str:
    """Show where the new model is and where it is from; it can be named by its run's folder from now on."""
    rows = [{"of": name, "is": str(value)} for name, value in asdict(made).items()]
    create_table_artifact(rows, key="lineage", description=f"Where {prepared.folder / MODEL} is from")
    return str(prepared.folder)


@task(name="evaluate", task_run_name="{deployment}", **_ONCE)
def evaluated(deployment: str, asked: dict[str, Any], model: str) -> None:
    """Ask the new model by another deployment, and wait for it."""
    run = run_deployment(deployment, parameters=asked)
    if run.state is None or not run.state.is_completed():  # type: ignore[union-attr]
        raise RuntimeError(f"{deployment} of the new model did not complete; the model itself stands in {model}")


def run(parameters: TrainParameters) -> str | State[str]:
    """Train and evaluate; returns the run's folder, by which its model is named."""
    prepared = preparing(parameters)
    with gpu_slot(prepared.recipe.gpus):
        before = cluster(parameters, prepared) if parameters.ray else []
        made = training(parameters, prepared)
        if parameters.ray:
            ray_gpus.wait_until_free(parameters.ray, before)
    folder = registered(prepared, made)
    for deployment, asked in following(parameters):
        evaluated(deployment, asked, folder)
    get_run_logger().info("trained %s", folder)
    return folder


def _stop(parameters: TrainParameters) -> None:
    if parameters.ray:
        ray_job.stop(job_of(parameters))


FLOWS = {**flows_of("train-grpo", run, _stop), **flows_of("train-sft", run, _stop)}
__getattr__ = by_function_name(FLOWS)
