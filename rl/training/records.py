"""Records in a training's folder: the request in `run.json`, and the lineage of the model, written last."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue

from rl.models.families import ModelError
from rl.models.trained import LINEAGE, RUN, ModelRecord
from rl.rewards import RewardConfig
from rl.training.recipe import GrpoRecipe, RecipeError, SftRecipe
from rl.training.recipes import upgrade_recipe
from storage.folders.open import folder_at, write_json
from storage.records import parse_record, with_digest


class DatasetRecord(BaseModel):
    """The dataset of a training.

    Attributes:
        path: folder or URL.
        content_hash: of its manifest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = ""
    content_hash: str = ""


class TrainingRun(BaseModel):
    """Request of a training; it holds no secret.

    Attributes:
        recipe_name: a key of `RECIPES`.
        recipe: its values, with the changes of the request.
        model: folder of the initial model.
        rows: folders of training rows.
        steps: number of updates that replaces the recipe's epochs; 0 keeps them.
        reward: reward of a response; None for a training on target responses.
        dataset: source of the rows, for the lineage.
        rendering: how the frames of the rows are rendered, the keys of `rl.models.families.TRAINING_SHOWN`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe_name: str
    recipe: GrpoRecipe | SftRecipe
    model: str
    rows: tuple[str, ...]
    steps: int = 0
    reward: RewardConfig | None = None
    dataset: DatasetRecord = DatasetRecord()
    rendering: dict[str, JsonValue] = {}


class Lineage(ModelRecord):
    """Where a trained model is from; a training whose folder holds it has ended.

    Attributes:
        recipe_name: a key of `RECIPES`.
        recipe: its values in this training.
        reward: reward of a response; None for a training on target responses.
        dataset: source of the rows.
        rows: names of the folders of training rows, hashes of all that shapes them.
        base_sha256: hash of the initial model's files.
        steps: updates of the weights.
        versions: package -> version that was installed.
    """

    recipe_name: str
    recipe: GrpoRecipe | SftRecipe
    reward: RewardConfig | None
    dataset: DatasetRecord
    rows: tuple[str, ...]
    base_sha256: str
    steps: int
    versions: dict[str, str]


def write_run(folder: Path, run: TrainingRun) -> None:
    """Write the request into a training's folder."""
    write_json(folder_at(folder), RUN, run.model_dump(mode="json"))


def read_run(folder: Path) -> TrainingRun:
    """Read the request of a training.

    Raises:
        RecipeError: the folder has no request, or the file is damaged.
    """
    try:
        return parse_record(TrainingRun, (folder / RUN).read_bytes(), _upgrade_run)
    except (FileNotFoundError, NotADirectoryError):
        raise RecipeError(f"'{folder}' is not the folder of a training: it has no {RUN}") from None
    except ValueError as error:
        raise RecipeError(f"{folder}/{RUN} is damaged ({error}): start the training anew") from error


def write_lineage(folder: Path, lineage: Lineage) -> None:
    """Write the lineage, which ends a training."""
    write_json(folder_at(folder), LINEAGE, with_digest(lineage.model_dump(mode="json")))


def read_lineage(folder: Path) -> Lineage | None:
    """Read the lineage of a training's model; None while the training has not ended.

    Raises:
        ModelError: the file is damaged.
    """
    try:
        return parse_record(Lineage, (folder / LINEAGE).read_bytes(), _upgrade_lineage)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ModelError(f"{folder}/{LINEAGE} is damaged ({error}): train anew") from error


def _upgrade_run(values: dict[str, Any]) -> dict[str, Any]:
    """The fields of a request; earlier versions stored a recipe's name and flat changes."""
    if "changes" not in values:
        return values
    changes: Mapping[str, JsonValue] = values["changes"]
    common = {name: values[name] for name in ("model", "rows", "dataset")}
    return {**_upgrade_common(values, changes), **common, "steps": changes.get("steps", 0), "rendering": values["shown"]}


def _upgrade_lineage(values: dict[str, Any]) -> dict[str, Any]:
    """The fields of a lineage; earlier versions stored a recipe's name and flat values."""
    if "values" not in values:
        return values
    common = {name: values[name] for name in ("dataset", "rows", "steps", "sha256", "versions")}
    return {**_upgrade_common(values, values["values"]), **common, "base_sha256": values["base"]}


def _upgrade_common(values: Mapping[str, Any], recipe_values: Mapping[str, JsonValue]) -> dict[str, Any]:
    """Recipe and reward; an empty name was that of a training without rewards."""
    name = values["recipe"]
    reward = {"name": values["reward"], "appearance": values["appears"]} if values["reward"] else None
    return {"recipe_name": name, "recipe": upgrade_recipe(name, recipe_values).model_dump(mode="json"), "reward": reward}
