"""`train-grpo/<recipe>` and `train-sft/<recipe>`: rows, checks, the training as a Ray Job, its curves, and evaluations.

The training is retried once: it attaches to a job that is still running, or resumes from the last complete checkpoint.
"""

from __future__ import annotations

import time
from dataclasses import asdict

from prefect import State, get_run_logger, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.deployments import run_deployment
from pydantic import JsonValue

from flows.artifacts import MOST_ROWS, progress_artifact
from flows.families import by_function_name, flows_of
from flows.limits import gpu_slot
from flows.retries import may_pass
from infra.ray import gpus as ray_gpus
from infra.ray import job as ray_job
from infra.ray.train_job import training_driver, training_job
from rl.models.trained import MODEL
from rl.training.checkpoints import read_metrics
from rl.training.curves import CURVES, CURVES_FILE, curves, draw_curves
from rl.training.follow_ups import follow_ups
from rl.training.launch import run_training, step_progress
from rl.training.parameters import TrainParameters
from rl.training.plan import RunPlan
from rl.training.prepare import prepare_run
from rl.training.recipes import recipe_values, sources
from rl.training.records import Lineage
from rl.verl.metrics import OnStep, StepMetrics
from storage.progress import Progress

_DRAW_INTERVAL_S = 20.0


@task(name="prepare", cache_policy=NO_CACHE)
def prepare_task(parameters: TrainParameters) -> RunPlan:
    """Prepare the training, and publish what is trained on and by which recipe."""
    plan = prepare_run(parameters)
    counts = [{"samples": name, "count": count} for rows in plan.rows for name, count in rows.record.counts.items()]
    create_table_artifact(counts, key="rows", description="Samples of each split, and excluded ones by reason")
    origins = sources(plan.recipe)
    values = [{"name": name, "value": value, "source": origins[name]} for name, value in recipe_values(plan.recipe).items()]
    create_table_artifact(values, key="recipe", description=f"{parameters.recipe_name}, {plan.steps} steps")
    return plan


@task(name="cluster", retries=2, retry_delay_seconds=10, cache_policy=NO_CACHE)
def cluster_task(parameters: TrainParameters, plan: RunPlan) -> list[ray_gpus.Gpu]:
    """Check that the cluster has enough free GPUs, unless the job of this training uses them already.

    Args:
        parameters: of a training with a Ray cluster.
        plan: of the training.
    """
    gpus = ray_gpus.gpus(parameters.ray)
    create_table_artifact(
        [{**asdict(gpu), "pids": str(gpu.pids)} for gpu in gpus], key="gpus", description="GPUs before the training"
    )
    if ray_job.find_running_job(training_job(parameters)) is None:
        ray_gpus.check_free(parameters.ray, plan.recipe.batch.devices)
    return gpus


@task(name="train", retries=1, retry_delay_seconds=30, retry_condition_fn=may_pass, cache_policy=NO_CACHE)
def train_task(parameters: TrainParameters, plan: RunPlan) -> Lineage:
    """Train to the end; curves and the last steps are published on the way.

    Args:
        parameters: of the training.
        plan: of the training, prepared.
    """
    picture = plan.folder / CURVES_FILE  # exists from the first step on
    create_link_artifact(picture.as_uri(), link_text="Curves", key="curves-picture", description="Curves of every metric")
    lineage = run_training(plan.folder, _publisher(plan), training_driver(parameters))
    _publish_curves(plan)
    return lineage


def _publisher(plan: RunPlan) -> OnStep:
    report = progress_artifact("steps", "No step has ended yet", _phrase)
    last_s = 0.0

    def on_step(metrics: StepMetrics) -> None:
        nonlocal last_s
        report(step_progress(metrics))
        if time.monotonic() - last_s > _DRAW_INTERVAL_S:
            last_s = time.monotonic()
            _publish_curves(plan)

    return on_step


def _phrase(progress: Progress) -> str:
    return f"step {progress.completed} of {progress.total}"


def _publish_curves(plan: RunPlan) -> None:
    """Draw the curves into the training's folder, and as lines of blocks into an artifact."""
    steps = read_metrics(plan.folder)
    draw_curves(plan.folder, steps)
    rows = ["| | first | last | |", "|---|---|---|---|"]
    rows += [f"| {curve.name} | {curve.first:.4g} | {curve.last:.4g} | `{curve.blocks}` |" for curve in curves(steps)]
    create_markdown_artifact("\n".join(rows), key="curves", description=f"{len(steps)} of {plan.steps} steps")
    last = [metrics.model_dump(include={"step", *CURVES}, exclude_none=True) for metrics in steps[-min(50, MOST_ROWS) :]]
    create_table_artifact(last, key="last-steps", description="Metrics of the last steps")


@task(name="register", cache_policy=NO_CACHE)
def register_task(plan: RunPlan, lineage: Lineage) -> str:
    """Publish the lineage of the new model; returns the training's folder, which names the model from now on.

    Args:
        plan: of the training.
        lineage: of its model.
    """
    rows = [{"name": name, "value": str(value)} for name, value in lineage.model_dump(mode="json").items()]
    create_table_artifact(rows, key="lineage", description=f"Lineage of {plan.folder / MODEL}")
    return str(plan.folder)


@task(name="evaluate", task_run_name="{deployment}", cache_policy=NO_CACHE)
def evaluate_task(deployment: str, parameters: dict[str, JsonValue], model: str) -> None:
    """Evaluate the new model by another deployment, and wait for it.

    Args:
        deployment: full name, `evaluate/hcstvg-v2`.
        parameters: of the deployment.
        model: folder of the training, for the message.
    """
    run = run_deployment(deployment, parameters=parameters)
    if run.state is None or not run.state.is_completed():  # type: ignore[union-attr]
        raise RuntimeError(f"{deployment} of the new model did not complete; the model itself is in {model}")


def train_and_evaluate(parameters: TrainParameters) -> str | State[str]:
    """Train and evaluate; returns the training's folder, which names the model."""
    plan = prepare_task(parameters)
    with gpu_slot(plan.recipe.gpus):
        before = cluster_task(parameters, plan) if parameters.ray else []
        lineage = train_task(parameters, plan)
        if parameters.ray:
            ray_gpus.wait_until_free(parameters.ray, before)
    folder = register_task(plan, lineage)
    for deployment, evaluation in follow_ups(parameters):
        evaluate_task(deployment, evaluation, folder)
    get_run_logger().info("trained %s", folder)
    return folder


def _stop(parameters: TrainParameters) -> None:
    if parameters.ray:
        ray_job.stop(training_job(parameters))


FLOWS = {**flows_of("train-grpo", train_and_evaluate, _stop), **flows_of("train-sft", train_and_evaluate, _stop)}
__getattr__ = by_function_name(FLOWS)
