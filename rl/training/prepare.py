"""Preparation of a training: rows, request and folder, and every check that can be made before a process is started."""

from __future__ import annotations

import json
import shutil
from math import prod
from pathlib import Path
from typing import Any

from rl.models.families import rendering_values
from rl.models.registry import find_model
from rl.models.trained import RUN
from rl.training.follow_ups import follow_ups
from rl.training.parameters import GrpoParameters, SftParameters, TrainParameters
from rl.training.plan import RunPlan, plan_run
from rl.training.recipe import RecipeError
from rl.training.records import DatasetRecord, TrainingRun, read_run, write_run
from rl.training.rows import write_rows
from tasks.build.stages import frames_parameters

ROWS = "rows"
"""Folder of all training rows, beside the folders of trainings."""
_BYTES_PER_WEIGHT = 12
"""In a checkpoint: the weight and AdamW's two moments, float32."""


def prepare_run(parameters: TrainParameters) -> RunPlan:
    """Write the rows and the request of a training, and check all that can be wrong before a process is started.

    The evaluations that follow it, which may start days later, are checked too.

    Args:
        parameters: of the training.

    Raises:
        DatasetError, ModelError, WeightsError, RewardError, RowsError, SweepError: something that the parameters name does not
            exist or cannot be used.
        RecipeError: the prompts do not fill a batch, the folder holds another training, or its disk has no room for the
            checkpoints.
    """
    assert isinstance(parameters, GrpoParameters | SftParameters)
    follow_ups(parameters)
    model, dataset = find_model(parameters.model), parameters.open_dataset()
    assert model.weights is not None
    rows = write_rows(dataset, model, parameters.row_settings(), parameters.folder.parent / ROWS)
    run = TrainingRun(
        recipe_name=parameters.recipe_name,
        recipe=parameters.recipe,
        model=str(model.weights.path.resolve()),
        rows=(str(rows.path.resolve()),),
        steps=parameters.steps,
        reward=parameters.reward if isinstance(parameters, GrpoParameters) else None,
        dataset=DatasetRecord(path=str(dataset.folder), content_hash=dataset.manifest.content_hash),
        rendering=rendering_values(frames_parameters(dataset)),
    )
    plan = plan_run(parameters.folder, run)
    _claim_folder(plan)
    _check_disk(plan)
    return plan


def _claim_folder(plan: RunPlan) -> None:
    """Write the request, or check that the folder already holds the same one."""
    if not (plan.folder / RUN).is_file():
        write_run(plan.folder, plan.run)
    elif (other := read_run(plan.folder)) != plan.run:
        name = next(name for name in TrainingRun.model_fields if getattr(other, name) != getattr(plan.run, name))
        raise RecipeError(f"'{plan.folder}' holds a training with another {name}: give this one a --name of its own")


def _check_disk(plan: RunPlan) -> None:
    needed = (plan.recipe.system.max_checkpoints + 1) * _BYTES_PER_WEIGHT * count_weights(plan.model_path)
    free = shutil.disk_usage(plan.folder).free
    if free < needed:
        raise RecipeError(
            f"checkpoints need {needed / 1e9:.0f} GB, and the disk of '{plan.folder}' has {free / 1e9:.0f} GB free"
        )


def count_weights(model: Path) -> int:
    """Number of weights of a model, from the headers of its files.

    Args:
        model: folder with `*.safetensors`.
    """
    return sum(_count_in_header(path) for path in model.glob("*.safetensors"))


def _count_in_header(path: Path) -> int:
    with path.open("rb") as file:
        header: Any = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
