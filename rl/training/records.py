"""Records in a training's folder: the request in `run.json`, and the lineage of the model, written last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue

from rl.models.families import ModelError
from rl.models.trained import LINEAGE, RUN, ModelRecord
from rl.rewards import Appearance, RewardConfig
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
        rendering: how the frames of the rows are rendered, the keys of `rl.models.families.RELEASED_RENDERING`.
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
    """Write the request of a training.

    Args:
        folder: of the training; it exists or is made.
        run: the request.
    """
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
    """Write the lineage, which ends a training.

    Args:
        folder: of the training.
        lineage: of its model, which is complete.
    """
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


class _FormerRun(BaseModel):
    """A request of earlier versions, with a recipe's name and flat changes; an empty reward is that of a fine-tuning."""

    recipe: str
    model: str
    rows: tuple[str, ...]
    reward: str
    appears: Any
    changes: dict[str, JsonValue]
    dataset: DatasetRecord
    shown: dict[str, JsonValue]

    def upgrade(self) -> TrainingRun:
        steps = self.changes.get("steps", 0)
        return TrainingRun(
            recipe_name=self.recipe,
            recipe=upgrade_recipe(self.recipe, self.changes),
            model=self.model,
            rows=self.rows,
            steps=steps if isinstance(steps, int) else 0,
            reward=_reward(self.reward, self.appears),
            dataset=self.dataset,
            rendering=self.shown,
        )


class _FormerLineage(BaseModel):
    """A lineage of earlier versions, with a recipe's name and flat values."""

    recipe: str
    values: dict[str, JsonValue]
    reward: str
    appears: Any
    dataset: DatasetRecord
    rows: tuple[str, ...]
    base: str
    steps: int
    sha256: str
    versions: dict[str, str]

    def upgrade(self) -> Lineage:
        return Lineage(
            recipe_name=self.recipe,
            recipe=upgrade_recipe(self.recipe, self.values),
            reward=_reward(self.reward, self.appears),
            dataset=self.dataset,
            rows=self.rows,
            base_sha256=self.base,
            steps=self.steps,
            sha256=self.sha256,
            versions=self.versions,
        )


def _reward(name: str, appearance: Appearance) -> RewardConfig | None:
    return RewardConfig(name=name, appearance=appearance) if name else None


def _upgrade_run(values: dict[str, JsonValue]) -> dict[str, JsonValue]:
    return _FormerRun.model_validate(values).upgrade().model_dump(mode="json") if "changes" in values else values


def _upgrade_lineage(values: dict[str, JsonValue]) -> dict[str, JsonValue]:
    return _FormerLineage.model_validate(values).upgrade().model_dump(mode="json") if "values" in values else values
