"""Trainings on this machine or as Ray Jobs, and the evaluations that follow them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from infra.forms.benchmarks import BENCHMARKS
from infra.ray.train_job import follow_training
from infra.sweeps import SweepParameters
from rl.training.launch import run_training
from rl.training.parameters import TrainParameters
from rl.training.plan import RunPlan
from rl.training.prepare import prepare_run
from rl.training.recipe import RecipeError
from rl.training.records import Lineage
from rl.verl.metrics import OnStep, StepMetrics
from storage.common.names import one_of
from storage.progress import Progress


def prepare_training(parameters: TrainParameters) -> RunPlan:
    """Prepare a training, and check the evaluations that follow it, which may start days later.

    Args:
        parameters: of the training.

    Raises:
        RecipeError: there is no such benchmark, or the recipe does not fit.
        SweepError: the sweep file cannot be used.
        InputError: as `prepare_run` does.
    """
    follow_ups(parameters)
    return prepare_run(parameters)


def launch_training(parameters: TrainParameters, on_step: OnStep) -> Lineage:
    """Run a prepared training to its end, on this machine or as a Ray Job.

    Args:
        parameters: of the training.
        on_step: called for each step.

    Raises:
        TrainingError, TrainingInputError, ClusterError, BusyError, JobError: as `run_training` and `follow_training` do.
    """
    driver = partial(follow_training, parameters) if parameters.ray else None
    return run_training(parameters.folder, on_step, driver)


def follow_ups(parameters: TrainParameters) -> list[tuple[str, dict[str, Any]]]:
    """Deployments that evaluate the new model, with their parameters: benchmarks, then a sweep.

    Args:
        parameters: of the training.

    Raises:
        RecipeError: there is no such benchmark.
        SweepError: the sweep file cannot be used.
    """
    given = {"model": str(parameters.folder), "root": parameters.root, "out": parameters.evaluations}
    for name in parameters.evaluate:
        one_of(BENCHMARKS, name, "benchmark", RecipeError)
    runs: list[tuple[str, dict[str, Any]]] = [(f"evaluate/{name}", given) for name in parameters.evaluate]
    if parameters.sweep:
        file = {"file": str(Path(parameters.sweep).absolute()), "checkpoints": str(parameters.folder)}
        sweep = SweepParameters.model_validate({**file, "root": parameters.root, "out": parameters.evaluations})
        sweep.sweep()  # raises what is wrong with the file
        runs.append(("sweep/file", sweep.model_dump()))
    return runs


def step_progress(metrics: StepMetrics) -> Progress:
    """Progress of a training after a step."""
    return Progress("steps", metrics.step, metrics.total_steps)
