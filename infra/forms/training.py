"""What a person sets for a training; shown as a form in the Prefect UI and as `stvg train` options."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from infra.forms.benchmarks import BENCHMARKS
from rl.models.registry import SCHOOLED
from rl.rewards import REWARDS
from rl.training.plan import RowSettings
from rl.training.recipe import RECIPES, Recipe, RecipeError, recipe_named
from storage.common.config import comma_separated, with_defaults
from storage.common.names import one_of
from storage.folders.open import named_folder
from storage.reader import Dataset


class TrainParameters(BaseModel):
    """What is set for every training."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    recipe: ClassVar[str] = ""

    dataset: str = Field(title="Dataset", description="Name of a dataset below the datasets folder, or its folder.")
    model: str = Field(title="Model", description="What is trained: qwen2.5-vl-7b, tiny-schooled, or a model's folder.")
    root: str = Field("datasets", title="Datasets folder", description="Where datasets are looked for by name.")
    out: str = Field("trainings", title="Trainings folder", description="On a disk that all nodes see; runs are kept below it.")
    name: str = Field(
        "", title="Name", pattern=r"^([a-z0-9][a-z0-9._-]*)?$", description="Of the run; empty takes recipe and dataset."
    )
    protocol: Literal["marked", "figures", "released", "unmarked"] = Field(
        "marked", title="Protocol", description="How sentences are asked; unmarked trains times alone."
    )
    validation: float = Field(0.02, title="Held out", ge=0.001, le=0.5, description="Share of the videos; at least one.")
    limit: int = Field(0, title="Limit", ge=0, le=10_000_000, description="Only so many sentences, by key; 0 takes all.")
    steps: int = Field(0, title="Steps", ge=0, le=10_000_000, description="Updates after which it ends; 0 takes the epochs.")
    changes: str = Field(
        "", title="Changes", max_length=2000, description="Of the recipe, as name=value, comma-separated: n=4, devices=4."
    )
    ray: str = Field(
        "",
        title="Ray cluster",
        pattern=r"^(https?://\S+)?$",
        description="http://head:8265 sends it a Ray Job; empty trains on this machine.",
    )
    hours: float = Field(72, title="Longest job", gt=0, le=8760, description="Hours after which a Ray Job is stopped.")
    evaluate: str = Field(
        "",
        title="Then evaluate",
        description="By the deployment alone: benchmarks that the new model is asked, comma-separated; empty for none.",
    )
    sweep: str = Field(
        "", title="Then sweep", description="By the deployment alone: a sweep's file, for the new model; empty for none."
    )
    evaluations: str = Field("evaluations", title="Evaluations folder", description="Where these evaluations are kept.")

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return Path(self.out).absolute() / (self.name or f"{self.recipe}-{Path(self.dataset).name}")

    def data(self) -> Dataset:
        """The dataset.

        Raises:
            DatasetError: nothing is published there.
        """
        return Dataset(named_folder(self.dataset, self.root))

    def changed(self) -> dict[str, Any]:
        """What is changed of the recipe.

        Raises:
            RecipeError: it is no list of names and values.
        """
        changes: dict[str, Any] = {"steps": self.steps} if self.steps else {}
        for part in comma_separated(self.changes):
            name, equals, value = part.partition("=")
            if not equals:
                raise RecipeError(f"'{part}' changes nothing: write name=value")
            changes[name.strip()] = _number(value.strip())
        return changes

    def chosen(self) -> Recipe:
        """The recipe with its changes.

        Raises:
            RecipeError: there is no such value.
        """
        return recipe_named(self.recipe, self.changed())

    def rows(self) -> RowSettings:
        """Which sentences are trained on, and how they are asked."""
        return RowSettings(self.protocol, self.chosen().max_prompt_tokens, self.validation, self.chosen().seed, self.limit)

    def rewarded(self) -> dict[str, str]:
        """What an answer is worth: nothing, where true answers are imitated."""
        return {"reward": "", "appears": ""}

    def benchmarks(self) -> list[str]:
        """On which the new model is evaluated.

        Raises:
            RecipeError: there is no such benchmark.
        """
        names = comma_separated(self.evaluate)
        for name in names:
            one_of(BENCHMARKS, name, "benchmark", RecipeError)
        return names


class GrpoParameters(TrainParameters):
    """Train a model by GRPO on a built dataset, from its last checkpoint if there is one."""

    reward: str = Field("paper", title="Reward", description=f"{', '.join(REWARDS)}: see docs/training.md.")
    appears: Literal["visible", "drawn"] = Field(
        "visible", title="Appears", description="In the span: its mask on a native frame, or its number on a shown one."
    )

    def rewarded(self) -> dict[str, str]:
        """What an answer is worth, and to which objects."""
        return {"reward": self.reward, "appears": self.appears}


class SftParameters(TrainParameters):
    """Train a model on the true answers of a built dataset, from its last checkpoint if there is one."""


def _number(text: str) -> Any:
    """A value as JSON writes it: a number, true, false; or else a word."""
    try:
        return json.loads(text)
    except ValueError:
        return text


_KINDS: Mapping[str, type[TrainParameters]] = {"grpo": GrpoParameters, "sft": SftParameters}


def _of(recipe: str, dataset: str, model: str) -> type[TrainParameters]:
    """The form of one recipe, with its usual dataset and model filled in."""
    made = with_defaults(_KINDS[RECIPES[recipe].kind], f"Train{recipe.title().replace('-', '')}", dataset=dataset, model=model)
    made.recipe = recipe
    return made


def deployment_of(recipe: str) -> tuple[str, str]:
    """Family and name of a recipe's deployment: `train-grpo` and `stvg-r1`, `train-sft` and `stvg-r1`."""
    kind = RECIPES[recipe].kind
    return f"train-{kind}", recipe.removesuffix(f"-{kind}")


TRAININGS: dict[str, type[TrainParameters]] = {
    "stvg-r1": _of("stvg-r1", "stvg-r1-train", "qwen2.5-vl-7b"),
    "sample": _of("sample", "sample", SCHOOLED),
    "stvg-r1-sft": _of("stvg-r1-sft", "stvg-r1-train", "qwen2.5-vl-7b"),
    "sample-sft": _of("sample-sft", "sample", SCHOOLED),
}
"""Recipe -> its parameters; each is a command `stvg train <recipe>` and a deployment, see `deployment_of`."""
