"""Preparation of a training with the evaluations that follow it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue

from rl.evaluation.parameters import SweepParameters
from rl.training.parameters import TrainParameters
from rl.training.plan import RunPlan
from rl.training.prepare import prepare_run
from rl.training.recipe import RecipeError
from storage.common.names import one_of
from tasks.build.parameters import BENCHMARKS


class FollowUp(NamedTuple):
    """A deployment that evaluates the new model, with its parameters."""

    deployment: str
    parameters: dict[str, JsonValue]


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
        file, model = str(Path(parameters.sweep).absolute()), str(parameters.folder)
        sweep = SweepParameters.model_validate({"file": file, "checkpoints": model, **folders})
        sweep.sweep()  # raises what is wrong with the file
        runs.append(FollowUp("sweep/file", sweep.model_dump(mode="json")))
    return runs
