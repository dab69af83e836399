"""Operations of a table's steps that need Ray or a cluster; the caller passes them in."""

from __future__ import annotations

from typing import Protocol

from rl.evaluation.sweep_run import SweepBackend
from rl.training.parameters import TrainParameters
from storage.progress import OnProgress
from tasks.build.parameters import DatasetParameters


class Backend(SweepBackend, Protocol):
    """Builds and renders datasets, trains models and opens engines, on this machine or on a cluster."""

    def build(self, parameters: DatasetParameters, on_progress: OnProgress) -> None:
        """Build a dataset, unless it is up to date.

        Args:
            parameters: Parameters of the build.
            on_progress: Called as videos end.

        Raises:
            StvgError: The dataset cannot be built.
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

    def stop(self, parameters: DatasetParameters | TrainParameters) -> None:
        """Stop the job of a build or of a training, if it runs as one on a cluster."""
        ...
