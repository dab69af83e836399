"""Sweeps: evaluations of every combination of checkpoints, benchmarks, protocols and marker settings, and what each lacks."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, JsonValue, StringConstraints

from rl.engines.open import engine_identity
from rl.evaluation.cells import Cell, CellPlan, CellStatus, cell_status
from rl.evaluation.parameters import EvaluateParameters
from rl.evaluation.protocols import ProtocolError, protocol_named
from rl.evaluation.results import conventions_of, no_truth
from rl.evaluation.run import Evaluation
from rl.models.registry import check_lineage
from storage.common.config import error_text, nested
from storage.common.errors import InputError
from storage.common.site import site
from storage.folders.folder import Folder
from storage.folders.open import folder_at, resolve_folder
from storage.reader import Dataset
from tasks.build.parameters import DatasetParameters
from tasks.build.rerender import Changes, is_rendered, variant
from tasks.metrics.arrays import has_truth

SettingName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$")]


class SweepError(InputError):
    """A sweep that cannot be run; the message names the field that is wrong."""


class SweepFile(BaseModel):
    """Content of a sweep file.

    Attributes:
        checkpoints, benchmarks, protocols: each is combined with each.
        markers: name of a setting -> parameters of a build that it changes, by dotted path; a setting without any is the
            dataset as built.
        evaluate: further parameters of every evaluation, as options of `stvg evaluate`, by dotted path or in groups.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    checkpoints: tuple[str, ...]
    benchmarks: tuple[str, ...]
    protocols: tuple[str, ...] = ("marked",)
    markers: dict[SettingName, dict[str, JsonValue]] = {}
    evaluate: dict[str, JsonValue] = {}


def read_sweep_file(path: str) -> SweepFile:
    """Read a sweep file.

    Raises:
        SweepError: the file does not exist, or is not a sweep file.
    """
    try:
        return SweepFile.model_validate(tomllib.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise SweepError(f"'{path}' is no sweep: {error_text(error)}") from None


def combined_cells(
    checkpoints: Sequence[str], benchmarks: Sequence[str], protocols: Sequence[str], markers: Sequence[str]
) -> list[Cell]:
    """Every combination, in the order given, each once; a protocol without markers has one cell for all marker settings.

    Args:
        checkpoints: names or folders of models.
        benchmarks: names or folders of datasets.
        protocols: names of protocols.
        markers: names of marker settings; an empty name is the dataset as built.

    Raises:
        ProtocolError: there is no such protocol.
        SweepError: there is no cell.
    """
    every = [
        Cell(checkpoint, benchmark, protocol, setting if protocol_named(protocol).marked else "")
        for checkpoint, benchmark, protocol, setting in product(checkpoints, benchmarks, protocols, markers)
    ]
    if not every:
        raise SweepError("a sweep needs at least one checkpoint, one benchmark, one protocol and one setting of markers")
    return list(dict.fromkeys(every))


@dataclass(frozen=True)
class Variant:
    """A dataset that shows other markers than its base.

    Attributes:
        base: folder of the dataset as built.
        name: of the marker setting.
        changes: parameters of the build that it changes.
    """

    base: Folder
    name: str
    changes: Changes

    @property
    def parameters(self) -> DatasetParameters:
        """Parameters of its build.

        Raises:
            DatasetError: the base is not published, or does not record how it was built.
            RerenderError: the setting changes the masks.
        """
        return variant(self.base, self.name, self.changes)

    @property
    def is_rendered(self) -> bool:
        """Whether it is published, from the masks that the base has now."""
        return is_rendered(self.base, self.name, self.changes)


@dataclass(frozen=True)
class Sweep:
    """Evaluations and the folders that they use. It loads no model, renders nothing and sends no request.

    Attributes:
        cells: the evaluations, in order, each once.
        markers: name of a setting -> parameters of a build that it changes.
        evaluate: further parameters of every evaluation.
        root: folder of the datasets.
        out: folder in which predictions and results are.
    """

    cells: Sequence[Cell]
    markers: Mapping[str, Changes]
    evaluate: Mapping[str, JsonValue]
    root: str
    out: str

    @classmethod
    def from_file(cls, path: str, root: str, out: str, checkpoints: Sequence[str] = ()) -> Sweep:
        """The sweep that a file describes.

        Args:
            path: of the file.
            root: folder of the datasets.
            out: folder in which predictions and results are.
            checkpoints: replace those of the file, if there are any.

        Raises:
            SweepError: the file does not exist, is not a sweep file, or combines to nothing.
            ProtocolError: there is no such protocol.
        """
        file = read_sweep_file(path)
        cells = combined_cells(checkpoints or file.checkpoints, file.benchmarks, file.protocols, tuple(file.markers) or ("",))
        return cls(cells=cells, markers=file.markers, evaluate=nested(file.evaluate), root=root, out=out)

    def base(self, benchmark: str) -> Folder:
        """Folder of a benchmark's dataset, as it was built."""
        return resolve_folder(benchmark, self.root)

    def variant(self, cell: Cell) -> Variant | None:
        """The variant that a cell evaluates; None for the dataset as built."""
        changes = self.markers.get(cell.markers)
        return Variant(self.base(cell.benchmark), cell.markers, changes) if changes else None

    def variants(self) -> list[Variant]:
        """Every variant of the sweep, each once."""
        settings = dict.fromkeys((cell.benchmark, cell.markers) for cell in self.cells if self.markers.get(cell.markers))
        return [Variant(self.base(benchmark), name, self.markers[name]) for benchmark, name in settings]

    def dataset_folder(self, cell: Cell) -> Folder:
        """Folder of the dataset that a cell evaluates."""
        variant = self.variant(cell)
        return folder_at(variant.parameters.folder) if variant else self.base(cell.benchmark)

    def predictions_folder(self, cell: Cell) -> Folder:
        """Folder in which the store of a cell's predictions is, the same for all variants of a benchmark."""
        return folder_at(self.out).child(self.base(cell.benchmark).name)

    def parameters(self, cell: Cell) -> EvaluateParameters:
        """Parameters of a cell's evaluation."""
        conventions = conventions_of(self.base(cell.benchmark).name)
        folder = str(self.dataset_folder(cell))
        own = {"model": cell.checkpoint, "protocol": cell.protocol, "dataset": folder, "out": self.out}
        model = site().configured(EvaluateParameters)
        return model.model_validate({"conventions": conventions, **self.evaluate, **own})

    def evaluation(self, cell: Cell) -> Evaluation:
        """The evaluation of a cell.

        Raises:
            DatasetError, ModelError, WeightsError, ProtocolError, ScoreError: something named does not exist.
        """
        Dataset(self.dataset_folder(cell))  # its error names the folder, before the dataset is looked up by name
        parameters = self.parameters(cell)
        evaluation = parameters.evaluation()
        if parameters.engine.name != "openai":  # a server does not report what it holds
            check_lineage(cell.checkpoint, evaluation.model)
        return replace(evaluation, folder=self.predictions_folder(cell))

    def statuses(self) -> dict[Cell, CellStatus]:
        """How far each cell has come.

        Raises:
            DatasetError, ModelError, WeightsError, ScoreError, SweepError, EngineError: a cell cannot be evaluated as it is.
        """
        return {cell: self.status(cell) for cell in self.cells}

    def status(self, cell: Cell) -> CellStatus:
        """How far a cell has come; before its dataset is rendered, its base gives the number of samples."""
        variant = self.variant(cell)
        ready = variant is None or variant.is_rendered
        try:
            evaluation = self.evaluation(cell if ready else replace(cell, markers=""))
            if not evaluation.protocol.captions and not has_truth(evaluation.dataset, evaluation.protocol.tasks):
                return CellStatus(reason=no_truth(self.base(cell.benchmark).name))
            parameters = self.parameters(cell)
            identity = engine_identity(parameters.engine, evaluation.model, parameters.server_here())
            status = cell_status(evaluation, identity)
        except ProtocolError as error:
            return CellStatus(reason=str(error))
        return status if ready else replace(status, key="", remaining=status.samples, seconds=None)

    def plan(self, statuses: Mapping[Cell, CellStatus]) -> list[CellPlan]:
        """What a run would do for each cell; hours count every GPU of the cell's engine.

        Args:
            statuses: how far each cell has come.
        """
        return [
            CellPlan(
                cell=cell,
                state=status.state,
                reason=status.reason,
                samples=status.samples,
                remaining=status.remaining,
                gpu_hours=None if status.seconds is None else status.seconds * self.parameters(cell).engine.gpus / 3600,
            )
            for cell, status in statuses.items()
        ]
