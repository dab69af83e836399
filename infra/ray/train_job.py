"""Trainings as Ray Jobs."""

from __future__ import annotations

from collections.abc import Callable

from infra.ray import job as ray_job
from infra.ray.client import code_version
from rl.training.launch import DRIVER_ERRORS, driver_arguments
from rl.training.parameters import TrainParameters
from storage.folders.files import hash8


def training_job(parameters: TrainParameters) -> ray_job.Job:
    """The job of a training; its ID depends on folder, recipe, steps and code.

    Args:
        parameters: of a training with a Ray cluster.
    """
    folder = str(parameters.folder)
    identity = [folder, parameters.recipe.model_dump(mode="json"), parameters.steps, code_version()]
    return ray_job.Job(
        address=parameters.ray,
        stem=f"stvg-train-{parameters.folder.name}-{hash8(identity)}-",
        folder=folder,
        command=["python", *driver_arguments(parameters.folder)],
        hours=parameters.hours,
        errors=DRIVER_ERRORS,
    )


def follow_training(parameters: TrainParameters, on_line: Callable[[str], None]) -> None:
    """Submit the job of a training, or attach to it, and follow its log to the end.

    Args:
        parameters: of a training with a Ray cluster.
        on_line: called with each line of the log, from the first one on, again after a lost connection.

    Raises:
        ClusterError, BusyError, JobError: as `infra.ray.job.follow` does.
        TrainingError, TrainingInputError: the driver's own.
    """
    ray_job.follow(training_job(parameters), on_line)
