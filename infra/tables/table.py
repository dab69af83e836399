"""What a table of the paper is made of: rows on benchmarks, and the datasets and trainings that these need."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from infra.sweeps import Sweep
from rl.evaluation.cells import Cell
from rl.evaluation.parameters import EvaluateParameters
from rl.evaluation.sweep import SweepError
from rl.models.registry import find_model
from rl.paper.numbers import Row, Table, variants
from rl.training.parameters import TRAININGS, TrainParameters
from rl.training.recipe import RecipeError
from storage.common.config import nested
from storage.common.names import one_of
from storage.folders.files import hash8
from storage.folders.folder import Folder
from storage.folders.open import folder_at
from tasks.build.parameters import BENCHMARKS, DatasetParameters, parameters_of
from tasks.build.rerender import keeps_masks

SETUP = "reproduce.toml"


class Setup(BaseModel):
    """What tables are made with.

    Attributes:
        builds: dataset -> parameters of its build; `benchmark` among them reads it as another than its name says.
        models: model of the paper -> name or folder of the one that is asked in its place.
        training: parameters of every training, groups by dotted paths; `recipe_name` replaces the paper's recipe.
        evaluate: parameters of every evaluation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    builds: dict[str, dict[str, Any]] = {}
    models: dict[str, str] = {}
    training: dict[str, Any] = {}
    evaluate: dict[str, Any] = {}


class Part(NamedTuple):
    """A row of a table on one of its benchmarks."""

    row: Row
    benchmark: str

    @property
    def dataset(self) -> str:
        """Name of the dataset that is asked: the benchmark's, or that of its variant."""
        return f"{self.benchmark}.{self.setting}" if self.changes else self.benchmark

    @property
    def setting(self) -> str:
        """Name of what is changed; empty for nothing."""
        return "-".join(
            f"{path.rpartition('.')[2]}-{value:g}" if type(value) is float else f"{path.rpartition('.')[2]}-{value}"
            for path, value in self.changes.items()
        ).lower()

    @property
    def changes(self) -> Mapping[str, Any]:
        """Parameters of the dataset's build that are not the benchmark's."""
        return self.row.build or {}

    @property
    def key(self) -> tuple[str, str]:
        """By which its results are put beside the paper's."""
        return self.row.name, self.benchmark


class Step(NamedTuple):
    """Something that must be there before parts are asked: a dataset, or a model that is trained."""

    name: str
    part: Part
    training: bool = False

    @property
    def key(self) -> str:
        """The name in letters, digits and dashes."""
        return re.sub("[^a-z0-9]+", "-", self.name.lower())


@dataclass(frozen=True)
class Reproduction:
    """A table with all it is made with. Nothing is built, loaded or asked by it."""

    number: str
    table: Table
    setup: Setup
    root: str
    out: str
    trainings: str
    miniature: bool = False

    @cached_property
    def parts(self) -> list[Part]:
        """Its rows, but those of others' models, on each of their benchmarks."""
        return [Part(row, benchmark) for row in self.table.rows if row.ours for benchmark in row.values]

    @property
    def steps(self) -> list[Step]:
        """What its parts need, each once, in an order in which nothing comes before what it needs itself."""
        every = {step.name: step for part in self.parts for step in self.needs(part)}
        return sorted(every.values(), key=lambda step: (step.training, "." in step.name))

    def needs(self, part: Part) -> list[Step]:
        """What a part needs."""
        needed = [Step(part.benchmark, Part(Row("", {}), part.benchmark))]
        if part.changes:
            needed.append(Step(part.dataset, part))
        if part.row.training:
            dataset = str(self.setup.training.get("dataset", "stvg-r1-train"))
            needed += [Step(dataset, Part(Row("", {}), dataset)), Step(f"training {part.row.training}", part, training=True)]
        return needed

    def folder(self, dataset: str) -> Folder:
        """Where a dataset is."""
        return folder_at(self.root).child(dataset)

    def build(self, part: Part) -> DatasetParameters:
        """The build of a part's dataset.

        Raises:
            SweepError: nobody says of what it is built, or the benchmark that is named is none.
            DatasetError: it is a variant of a dataset that is not there.
            ValidationError: a parameter is missing, unknown or out of bounds.
        """
        if part.changes:
            ray = self.setup.builds.get(part.benchmark, {}).get("ray", "")
            made = parameters_of(str(self.folder(part.benchmark)), part.changes)
            return made.model_copy(update={"name": part.dataset, "ray": ray})
        if part.benchmark not in self.setup.builds:
            raise SweepError(
                f"'{self.folder(part.benchmark)}' is not built: build it by `stvg build {part.benchmark}`, or name its "
                f"annotations and videos under [builds.{part.benchmark}] in {SETUP}"
            )
        given = {"benchmark": part.benchmark, **self.setup.builds[part.benchmark]}
        form = one_of(BENCHMARKS, str(given.pop("benchmark")), "benchmark", SweepError)
        return form.model_validate({**nested(given), "root": self.root, "name": part.benchmark})

    def training(self, part: Part) -> TrainParameters:
        """The training of a part's model, in a folder named by all that shapes it.

        Raises:
            DatasetError, ModelError, WeightsError, RecipeError: what it is made of is not there.
            ValidationError: a parameter is unknown or out of bounds.
        """
        asked = self.unnamed_training(part)
        model, dataset = find_model(asked.model), asked.open_dataset()
        assert model.weights is not None
        settings = asked.model_dump(mode="json", include={"recipe", "reward", "steps"})
        shaped = [asked.recipe_name, settings, asked.row_settings().model_dump(), model.weights.sha256]
        run = f"{part.row.training}-{hash8([*shaped, dataset.manifest.content_hash])}"
        return asked.model_copy(update={"name": run})

    def unnamed_training(self, part: Part) -> TrainParameters:
        """The same before its dataset is there.

        Raises:
            RecipeError: there is no such recipe.
            ValidationError: a parameter is unknown or out of bounds.
        """
        variant, given = variants()[part.row.training], {"dataset": "stvg-r1-train", **self.setup.training}
        usual = str(given.pop("recipe_name", "stvg-r1"))
        recipe = usual if variant.kind == "grpo" else f"{usual}-{variant.kind}"
        own = {"model": self.model(part.row), "root": self.root, "out": self.trainings, **variant.given}
        return one_of(TRAININGS, recipe, "recipe", RecipeError).model_validate(nested({**given, **own}))

    def model(self, row: Row) -> str:
        """What stands for a row's model."""
        return self.setup.models.get(row.model, row.model)

    @property
    def engine(self) -> str:
        """Name of the engine of every evaluation."""
        return EvaluateParameters.model_validate({"model": "", "dataset": "", **nested(self.setup.evaluate)}).engine.name

    def cell(self, part: Part) -> Cell:
        """The evaluation that a part is, once what it needs is there."""
        asked = str(self.training(part).folder) if part.row.training else self.model(part.row)
        if part.changes and keeps_masks(part.changes):
            return Cell(asked, part.benchmark, part.row.protocol, part.setting)
        return Cell(asked, part.dataset, part.row.protocol)

    def sweep(self, cells: Iterable[Cell]) -> Sweep:
        """These evaluations, each once."""
        markers = {part.setting: part.changes for part in self.parts if part.changes}
        return Sweep(list(dict.fromkeys(cells)), markers, nested(self.setup.evaluate), self.root, self.out)
