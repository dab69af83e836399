"""A table with its setup: the rows that can be run here, and the datasets and trained models that they need."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from pydantic import JsonValue

from rl.evaluation.parameters import EvaluateParameters
from rl.models.registry import find_model
from rl.paper.comparison import CellKey
from rl.paper.numbers import PaperError, Row, Table, variants
from rl.paper.setup import Setup
from rl.training.parameters import TRAININGS, TrainParameters
from rl.training.recipe import RecipeError
from storage.common.config import nested
from storage.common.names import one_of
from storage.common.site import NO_SITE, Site, site
from storage.folders.files import hash8
from storage.folders.folder import Folder
from storage.folders.open import folder_at
from storage.manifest import DatasetError
from storage.reader import Dataset
from tasks.build.parameters import BENCHMARKS, DatasetParameters, parameters_of
from tasks.build.rerender import keeps_masks

RELEASED_DECODING: Mapping[str, JsonValue] = {"decoding": {"preset": "released"}}
"""How the released evaluation decodes; a setup that sets any value of the decoding replaces all of it."""
_TRAINING_DATASET = "stvg-r1-train"


@dataclass(frozen=True)
class Part:
    """A row of a table on one of its benchmarks.

    Attributes:
        row: The row; one without a name stands for a dataset that several rows need.
        benchmark: Name of the benchmark, and of its dataset.
    """

    row: Row
    benchmark: str

    @property
    def changes(self) -> Mapping[str, JsonValue]:
        """Parameters of the dataset's build, by dotted path, that differ from the benchmark's."""
        return self.row.build or {}

    @property
    def setting(self) -> str:
        """Name of the changes, such as `size-10`; empty for none."""
        values = ((path.rpartition(".")[2], value) for path, value in self.changes.items())
        return "-".join(f"{name}-{value:g}" if type(value) is float else f"{name}-{value}" for name, value in values).lower()

    @property
    def dataset(self) -> str:
        """Name of the dataset: that of the benchmark, or of its variant."""
        return f"{self.benchmark}.{self.setting}" if self.changes else self.benchmark

    @property
    def rerendered(self) -> bool:
        """Whether the dataset is a variant with the same masks."""
        return bool(self.changes) and keeps_masks(self.changes)

    @property
    def key(self) -> CellKey:
        """Row and benchmark by name."""
        return self.row.name, self.benchmark


class StepKind(StrEnum):
    """Kind of a step."""

    BUILD = "build"
    RENDER = "render"
    TRAIN = "train"


@dataclass(frozen=True)
class Step:
    """A dataset or a trained model that parts need.

    Attributes:
        name: Name of the dataset or of the training.
        kind: How it is obtained.
        part: A part that needs it, from which its parameters follow.
    """

    name: str
    kind: StepKind
    part: Part

    @property
    def key(self) -> str:
        """The name in lower-case letters, digits and dashes."""
        return re.sub("[^a-z0-9]+", "-", self.name.lower())


@dataclass(frozen=True)
class Reproduction:
    """A table, its setup and its folders.

    Attributes:
        number: Number of the table.
        table: The table.
        setup: Content of the setup file.
        root: Datasets folder.
        out: Evaluations folder.
        trainings: Trainings folder.
        miniature: Whether tiny models and the generated benchmark are used.
    """

    number: str
    table: Table
    setup: Setup
    root: str
    out: str
    trainings: str
    miniature: bool = False

    @cached_property
    def site(self) -> Site:
        """The site file; an empty one for a miniature, which is the same everywhere."""
        return NO_SITE if self.miniature else site()

    @cached_property
    def parts(self) -> list[Part]:
        """Each row that can be run here, on each of its benchmarks."""
        return [Part(row, benchmark) for row in self.table.rows if row.ours for benchmark in row.values]

    @cached_property
    def steps(self) -> list[Step]:
        """Everything that the parts need, each once, in an order in which every step comes after those that it needs."""
        every = {step.name: step for part in self.parts for step in self.needs(part)}
        return sorted(every.values(), key=lambda step: (step.kind is StepKind.TRAIN, "." in step.name))

    def needs(self, part: Part) -> list[Step]:
        """Steps that a part needs."""
        steps = [_dataset_step(part.benchmark)]
        if part.changes:
            steps.append(Step(part.dataset, StepKind.RENDER if part.rerendered else StepKind.BUILD, part))
        if part.row.training:
            dataset = str(self.setup.training.get("dataset", _TRAINING_DATASET))
            steps += [_dataset_step(dataset), Step(f"training {part.row.training}", StepKind.TRAIN, part)]
        return steps

    def folder(self, dataset: str) -> Folder:
        """Folder of a dataset."""
        return folder_at(self.root).child(dataset)

    def published(self, dataset: str) -> bool:
        """Whether a dataset is published."""
        try:
            Dataset(self.folder(dataset))
        except DatasetError:
            return False
        return True

    def build(self, part: Part) -> DatasetParameters:
        """Parameters of the build of a part's dataset.

        Raises:
            PaperError: The setup has no such dataset, or names an unknown benchmark.
            DatasetError: The part's dataset is a variant of one that is not published.
            ValidationError: A parameter is missing, unknown or out of bounds.
        """
        given = self.setup.builds.get(part.benchmark)
        if part.changes:
            parameters = parameters_of(str(self.folder(part.benchmark)), part.changes)
            return parameters.model_copy(update={"name": part.dataset, "ray": (given or {}).get("ray", "")})
        if given is None and f"benchmarks.{part.benchmark}" not in self.site.tables:
            raise PaperError(
                f"'{self.folder(part.benchmark)}' is not built: build it by `stvg build {part.benchmark}`, or name its "
                f"annotations and videos under [benchmarks.{part.benchmark}] in {self.site.path}"
            )
        values = {"benchmark": part.benchmark, **(given or {})}
        model = self.site.configured(one_of(BENCHMARKS, str(values.pop("benchmark")), "benchmark", PaperError))
        return model.model_validate({**nested(values), "root": self.root, "name": part.benchmark})

    def training(self, part: Part) -> TrainParameters:
        """Parameters of the training of a part's model; the folder's name is a hash of everything that shapes the model.

        Raises:
            DatasetError, ModelError, WeightsError, RecipeError: Something that the training needs does not exist.
            ValidationError: A parameter is unknown or out of bounds.
        """
        parameters = self.unnamed_training(part)
        weights, dataset = find_model(parameters.model).weights, parameters.open_dataset()
        assert weights is not None
        settings = parameters.model_dump(mode="json", include={"recipe", "reward", "steps"})
        shaping = [parameters.recipe_name, settings, parameters.row_settings().model_dump(), weights.sha256]
        name = f"{part.row.training}-{hash8([*shaping, dataset.manifest.content_hash])}"
        return parameters.model_copy(update={"name": name})

    def unnamed_training(self, part: Part) -> TrainParameters:
        """The same parameters before the dataset exists, without the name of the folder.

        Raises:
            RecipeError: There is no such recipe.
            ValidationError: A parameter is unknown or out of bounds.
        """
        variant, given = variants()[part.row.training], {"dataset": _TRAINING_DATASET, **self.setup.training}
        name = str(given.pop("recipe_name", "stvg-r1"))
        recipe = name if variant.kind == "grpo" else f"{name}-{variant.kind}"
        own = {"model": self.model(part.row), "root": self.root, "out": self.trainings, **variant.given}
        model = self.site.configured(one_of(TRAININGS, recipe, "recipe", RecipeError))
        return model.model_validate(nested({**given, **own}))

    def model(self, row: Row) -> str:
        """Name or folder of the model that stands for a row's."""
        return self.setup.models.get(row.model, row.model)

    @property
    def engine(self) -> str:
        """Name of the engine of every evaluation."""
        return self._evaluation({"model": "", "dataset": ""}).engine.name

    def evaluation(self, part: Part) -> EvaluateParameters:
        """Parameters of the evaluation of a part.

        Raises:
            StvgError: The training of its model cannot be set up.
            ValidationError: A parameter is unknown or out of bounds.
        """
        own = {
            "model": str(self.training(part).folder) if part.row.training else self.model(part.row),
            "dataset": str(self.folder(part.dataset)),
            "protocol": part.row.protocol,
            "out": self.out,
        }
        return self._evaluation(own)

    def _evaluation(self, own: Mapping[str, str]) -> EvaluateParameters:
        model = self.site.configured(EvaluateParameters)
        return model.model_validate({**RELEASED_DECODING, **nested(self.setup.evaluate), **own})


def _dataset_step(name: str) -> Step:
    return Step(name, StepKind.BUILD, Part(Row("", {}), name))
