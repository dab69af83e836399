"""The backend of tables and sweeps: builds, renders, trainings and engines, on this machine or on Ray."""

from __future__ import annotations

from contextlib import AbstractContextManager

from infra.ray import gpus, job
from infra.ray.build import build_dataset
from infra.ray.build_job import run_job, stop_job
from infra.ray.engine_actors import replicated
from infra.ray.pool import RayPool
from infra.ray.session import ClusterError
from infra.ray.train_job import training_driver, training_job
from rl.engines.base import Engine
from rl.engines.server import Server
from rl.evaluation.evaluate import EngineOpener
from rl.evaluation.parameters import EvaluateParameters
from rl.models.families import Model
from rl.training.launch import run_training, step_progress
from rl.training.parameters import TrainParameters
from rl.training.prepare import prepare_run
from storage.folders.folder import Folder
from storage.progress import OnProgress
from tasks.build.parameters import DatasetParameters
from tasks.build.rerender import rerender
from tasks.build.run import FanOut


class RayBackend:
    """Implements `rl.paper.backend.Backend`, and with it `rl.evaluation.sweep_run.SweepBackend`."""

    def __init__(self, fan_out: FanOut | None = None, opener: EngineOpener = replicated) -> None:
        """Make a backend.

        Args:
            fan_out: runs the workers that render; None runs them on Ray.
            opener: opens engines.
        """
        self._fan_out, self._opener = fan_out, opener

    def build(self, parameters: DatasetParameters, on_progress: OnProgress) -> None:
        """Build a dataset with workers on Ray, or as a Ray Job."""
        (run_job if parameters.as_job else build_dataset)(parameters, on_progress)

    def rerender(self, base: Folder, parameters: DatasetParameters, on_progress: OnProgress) -> None:
        """Render a variant with workers on Ray."""
        if self._fan_out is not None:
            rerender(base, parameters, on_progress, self._fan_out)
            return
        with RayPool(parameters.pool, parameters.ray) as pool:
            rerender(base, parameters, on_progress, pool)

    def check_gpus(self, parameters: TrainParameters) -> None:
        """Count idle GPUs of the training's cluster, or the GPUs of this machine."""
        needed = parameters.recipe.gpus
        if not needed:
            return
        if parameters.ray:
            if job.find_running_job(training_job(parameters)) is None:
                gpus.check_free(parameters.ray, needed)
            return
        import torch

        if (available := torch.cuda.device_count()) < needed:
            raise ClusterError(f"the training needs {needed} GPUs, and this machine has {available}: set ray under [training]")

    def train(self, parameters: TrainParameters, on_progress: OnProgress) -> None:
        """Train on this machine, or follow a Ray Job."""
        prepare_run(parameters)
        run_training(parameters.folder, lambda metrics: on_progress(step_progress(metrics)), training_driver(parameters))

    def open_engine(
        self, parameters: EvaluateParameters, model: Model, server: Server | None
    ) -> AbstractContextManager[Engine]:
        """Open an engine in this process, or its replicas on Ray."""
        return self._opener(parameters, model, server)

    def stop(self, parameters: DatasetParameters | TrainParameters) -> None:
        """Stop a Ray Job."""
        if isinstance(parameters, TrainParameters):
            job.stop(training_job(parameters))
        else:
            stop_job(parameters)
