"""Parameters of a training, for the form in the Prefect UI and the options of `stvg train`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from rl.models.registry import SCHOOLED
from rl.rewards import RewardConfig
from rl.training.recipe import GrpoRecipe, Recipe, SftRecipe
from rl.training.recipes import RECIPES
from storage.common.config import Config, DatasetsFolder, EvaluationsFolder, Names, TrainingsFolder, with_defaults

if TYPE_CHECKING:
    from rl.training.selection import RowSettings
    from storage.reader import Dataset


class TrainParameters(Config):
    """Parameters that every training has."""

    recipe_name: ClassVar[str] = ""
    site_tables: ClassVar[tuple[str, ...]] = ("train",)

    dataset: str = Field(title="Dataset", description="Name of a dataset in the datasets folder, or the path of its folder.")
    model: str = Field(title="Model", description="Initial model: qwen2.5-vl-7b, tiny-schooled, or the folder of a model.")
    root: DatasetsFolder = Field("datasets", title="Datasets folder", description="Folder in which datasets are found by name.")
    out: TrainingsFolder = Field(
        "trainings",
        title="Trainings folder",
        description="Folder of all trainings, on a disk that every node of a cluster sees.",
    )
    name: str = Field(
        "",
        title="Name",
        pattern=r"^([a-z0-9][a-z0-9._-]*)?$",
        description="Name of the training's folder; empty combines the names of recipe and dataset.",
    )
    protocol: Literal["marked", "figures", "released", "unmarked"] = Field(
        "marked", title="Protocol", description="Prompt protocol; unmarked trains times alone."
    )
    validation: float = Field(
        0.02,
        title="Validation",
        ge=0.001,
        le=0.5,
        description="Share of the videos that is held out for validation; at least one video.",
    )
    limit: int = Field(0, title="Limit", ge=0, le=10_000_000, description="Number of sentences, the first by key; 0 uses all.")
    steps: int = Field(
        0,
        title="Steps",
        ge=0,
        le=10_000_000,
        description="Updates of the weights; 0 follows from the recipe's epochs.",
    )
    ray: str = Field(
        "",
        title="Ray cluster",
        pattern=r"^(https?://\S+)?$",
        description="Dashboard of a Ray cluster that runs the training as a Ray Job, such as http://head:8265; "
        "empty trains on this machine.",
    )
    hours: float = Field(72, title="Hours", gt=0, le=8760, description="Hours after which a Ray Job is stopped.")
    evaluate: Names = Field(
        (),
        title="Evaluate",
        description="Benchmarks on which deployments evaluate the new model; the command ignores them.",
    )
    sweep: str = Field(
        "", title="Sweep", description="Sweep file that deployments run with the new model; the command ignores it."
    )
    evaluations: EvaluationsFolder = Field(
        "evaluations", title="Evaluations folder", description="Folder of these evaluations."
    )
    recipe: Recipe = Field(default=Recipe(), title="Recipe", description="Numbers of the training.")

    @property
    def folder(self) -> Path:
        """Folder of the training."""
        return Path(self.out).absolute() / (self.name or f"{self.recipe_name}-{Path(self.dataset).name}")

    def open_dataset(self) -> Dataset:
        """Open the dataset.

        Raises:
            DatasetError: nothing is published there.
        """
        from storage.folders.open import resolve_folder
        from storage.reader import Dataset

        return Dataset(resolve_folder(self.dataset, self.root))

    def row_settings(self) -> RowSettings:
        """Settings of the training rows."""
        from rl.training.selection import RowSettings

        return RowSettings(
            protocol=self.protocol,
            max_prompt_tokens=self.recipe.batch.max_prompt_tokens,
            validation=self.validation,
            seed=self.recipe.batch.seed,
            limit=self.limit,
        )


class GrpoParameters(TrainParameters):
    """Train a model by GRPO on a built dataset, from its last checkpoint if there is one."""

    recipe: GrpoRecipe = Field(default=GrpoRecipe(), title="Recipe", description="Numbers of the training.")
    reward: RewardConfig = Field(default=RewardConfig(), title="Reward", description="Reward of a response.")


class SftParameters(TrainParameters):
    """Train a model on the target responses of a built dataset, from its last checkpoint if there is one."""

    recipe: SftRecipe = Field(default=SftRecipe(), title="Recipe", description="Numbers of the training.")


_BY_KIND: Mapping[str, type[TrainParameters]] = {"grpo": GrpoParameters, "sft": SftParameters}


def _parameters(recipe_name: str, dataset: str, model: str) -> type[TrainParameters]:
    """The parameters of one recipe, with its defaults."""
    recipe, class_name = RECIPES[recipe_name], f"Train{recipe_name.title().replace('-', '')}"
    parameters = with_defaults(_BY_KIND[recipe.kind], class_name, dataset=dataset, model=model, recipe=recipe)
    parameters.recipe_name = recipe_name
    return parameters


def deployment_of(recipe_name: str) -> tuple[str, str]:
    """Family and name of a recipe's deployment: `train-grpo` and `stvg-r1`, `train-sft` and `stvg-r1`."""
    kind = RECIPES[recipe_name].kind
    return f"train-{kind}", recipe_name.removesuffix(f"-{kind}")


TRAININGS: Mapping[str, type[TrainParameters]] = {
    "stvg-r1": _parameters("stvg-r1", "stvg-r1-train", "qwen2.5-vl-7b"),
    "sample": _parameters("sample", "sample", SCHOOLED),
    "stvg-r1-sft": _parameters("stvg-r1-sft", "stvg-r1-train", "qwen2.5-vl-7b"),
    "sample-sft": _parameters("sample-sft", "sample", SCHOOLED),
}
"""Recipe -> its parameters; each is a command `stvg train <recipe>` and the deployment of `deployment_of`."""
