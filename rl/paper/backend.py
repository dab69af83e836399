"""Operations of a table's steps that need Ray or a cluster; the caller passes them in."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from rl.engines.base import Engine
from rl.engines.server import Server
from rl.evaluation.parameters import EvaluateParameters
from rl.models.families import Model
from rl.training.parameters import TrainParameters
from storage.folders.folder import Folder
from storage.progress import OnProgress
from tasks.build.parameters import DatasetParameters


class Backend(Protocol):
    """Builds datasets, trains models and opens engines, on this machine or on a cluster."""

    def build(self, parameters: DatasetParameters, on_progress: OnProgress) -> None:
        """Build a dataset, unless it is up to date.

        Args:
            parameters: Parameters of the build.
            on_progress: Called as videos end.

        Raises:
            StvgError: The dataset cannot be built.
        """
        ...

    def rerender(self, base: Folder, parameters: DatasetParameters, on_progress: OnProgress) -> None:
        """Render a variant of a dataset from the same masks.

        Args:
            base: Folder of a published dataset.
            parameters: Parameters of the variant (`tasks.build.rerender.variant`).
            on_progress: Called as videos end.

        Raises:
            StvgError: The variant cannot be rendered.
        """
        ...

    def check_gpus(self, parameters: TrainParameters) -> None:
        """Check that the GPUs of a training are free, unless it runs on them already.

        Raises:
            ClusterError: There are too few.
        """
        ...

    def train(self, parameters: TrainParameters, on_progress: OnProgress) -> None:
        """Train a model to the end, from its last complete checkpoint.

        Args:
            parameters: Parameters of the training.
            on_progress: Called after each update of the weights.

        Raises:
            StvgError: The training cannot start, or stopped early.
        """
        ...

    def open_engine(
        self, parameters: EvaluateParameters, model: Model, server: Server | None
    ) -> AbstractContextManager[Engine]:
        """Open the engine of an evaluation, or its replicas, as a context manager.

        Args:
            parameters: Parameters of the evaluation.
            model: Model to load.
            server: Server of the engine openai; None for the other engines.
        """
        ...

    def stop(self, parameters: DatasetParameters | TrainParameters) -> None:
        """Stop the job of a build or of a training, if it runs as one on a cluster."""
        ...
