"""Trainings as Ray Jobs."""

from __future__ import annotations

from collections.abc import Callable

from infra.ray import job as ray_job
from infra.ray.client import code_version
from rl.training.launch import DRIVER_ERRORS, Driver, driver_arguments
from rl.training.parameters import TrainParameters
from rl.verl.errors import TrainingError
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


def training_driver(parameters: TrainParameters) -> Driver | None:
    """The driver of a training as a Ray Job, which is submitted or attached to; None for one on this machine.

    Args:
        parameters: of the training.

    Raises:
        ClusterError, BusyError, JobError: by the driver, as `infra.ray.job.follow` does.
        TrainingError, TrainingInputError: the driver's own.
    """
    if not parameters.ray:
        return None

    def follow(on_line: Callable[[str], None]) -> None:
        job = training_job(parameters)
        try:
            ray_job.follow(job, on_line)
        except TrainingError as error:
            raise TrainingError(
                f"{error} ('ray job logs' of the job {job.stem}... on {job.address} has the details)"
            ) from error

    return follow
