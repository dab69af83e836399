"""Evaluations of the new model that follow a training."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue

from rl.evaluation.parameters import SweepParameters
from rl.training.parameters import TrainParameters
from rl.training.recipe import RecipeError
from storage.common.names import one_of
from tasks.build.parameters import BENCHMARKS


class FollowUp(NamedTuple):
    """A deployment that evaluates the new model, with its parameters."""

    deployment: str
    parameters: dict[str, JsonValue]


def follow_ups(parameters: TrainParameters) -> list[FollowUp]:
    """Deployments that evaluate the new model: benchmarks, then a sweep.

    Args:
        parameters: of the training.

    Raises:
        RecipeError: there is no such benchmark.
        SweepError: the sweep file cannot be used.
    """
    folders: dict[str, JsonValue] = {"root": parameters.root, "out": parameters.evaluations}
    for name in parameters.evaluate:
        one_of(BENCHMARKS, name, "benchmark", RecipeError)
    runs = [FollowUp(f"evaluate/{name}", {"model": str(parameters.folder), **folders}) for name in parameters.evaluate]
    if parameters.sweep:
        file, checkpoints = str(Path(parameters.sweep).absolute()), [str(parameters.folder)]
        sweep = SweepParameters.model_validate({"file": file, "checkpoints": checkpoints, **folders})
        sweep.sweep()  # raises what is wrong with the file
        runs.append(FollowUp("sweep/file", sweep.model_dump(mode="json")))
    return runs
