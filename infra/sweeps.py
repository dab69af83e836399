"""What a sweep is asked for: a TOML file that names checkpoints, benchmarks, protocols and settings of markers."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from rl.engines.open import engine_identity
from rl.evaluation.cells import Cell, CellPlan, CellStatus, cell_status
from rl.evaluation.parameters import EvaluateParameters
from rl.evaluation.protocols import ProtocolError
from rl.evaluation.results import conventions_of, no_truth
from rl.evaluation.run import Evaluation
from rl.evaluation.sweep import SweepError, combined_cells
from rl.models.registry import check_lineage
from storage.common.config import comma_separated, error_text, nested
from storage.folders.folder import Folder
from storage.folders.open import folder_at, resolve_folder
from storage.reader import Dataset
from tasks.build.rerender import is_rendered, variant
from tasks.metrics.arrays import has_truth

M = TypeVar("M", bound=BaseModel)
SettingName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$")]


class SweepFile(BaseModel):
    """A sweep as its file says it.

    Attributes:
        checkpoints, benchmarks, protocols: each is combined with each.
        markers: setting -> parameters of a build that it changes; none leaves datasets as they were built.
        evaluate: further parameters of every evaluation, as `stvg evaluate` has them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    checkpoints: tuple[str, ...]
    benchmarks: tuple[str, ...]
    protocols: tuple[str, ...] = ("marked",)
    markers: dict[SettingName, dict[str, float | str]] = {}
    evaluate: dict[str, Any] = {}


class SweepParameters(BaseModel):
    """Evaluate checkpoints on benchmarks by protocols and settings of markers; what is there already is not done again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str = Field(title="Sweep file", description="TOML; see docs/sweeps.md.")
    checkpoints: str = Field("", title="Checkpoints", description="Comma-separated, in place of the file's; empty takes those.")
    root: str = Field("datasets", title="Datasets folder", description="Where datasets are, and other renders of them go.")
    out: str = Field("evaluations", title="Evaluations folder", description="Predictions and results are kept below it.")
    at_once: int = Field(1, title="Cells at once", ge=1, le=64, description="Evaluations under way together.")

    def sweep(self) -> Sweep:
        """The sweep that the file describes.

        Raises:
            SweepError: the file is not there or not as a sweep's is, or combines to nothing.
            ProtocolError: there is no such protocol.
        """
        asked = read_file(self.file, SweepFile, "sweep")
        checkpoints = comma_separated(self.checkpoints) or asked.checkpoints
        every = combined_cells(checkpoints, asked.benchmarks, asked.protocols, tuple(asked.markers) or ("",))
        return Sweep(every, asked.markers, nested(asked.evaluate), self.root, self.out)


def read_file(path: str, model: type[M], kind: str) -> M:
    """A TOML file as the model of its content.

    Raises:
        SweepError: the file is not there, or is not of this kind.
    """
    try:
        return model.model_validate(tomllib.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise SweepError(f"'{path}' is no {kind}: {error_text(error)}") from None


@dataclass(frozen=True)
class Sweep:
    """Evaluations that belong together, with the folders they work in. Nothing is loaded, rendered or asked by it.

    Attributes:
        cells: the evaluations, in order, each once.
        markers: setting -> parameters of a build that it changes.
        evaluate: further parameters of every evaluation.
        root, out: where datasets are, and where predictions go.
    """

    cells: Sequence[Cell]
    markers: Mapping[str, Mapping[str, Any]]
    evaluate: Mapping[str, Any]
    root: str
    out: str

    def base(self, benchmark: str) -> Folder:
        """The folder of a benchmark's dataset, as it was built."""
        return resolve_folder(benchmark, self.root)

    def folder(self, cell: Cell) -> Folder:
        """The folder of the dataset that a cell asks: that beside the base which shows its markers."""
        changes = self.markers.get(cell.markers, {})
        base = self.base(cell.benchmark)
        return folder_at(variant(base, cell.markers, changes).folder) if changes else base

    def kept(self, cell: Cell) -> Folder:
        """The folder of a cell's predictions, below which each of its keys has one; all renders of a benchmark share it."""
        return folder_at(self.out).child(self.base(cell.benchmark).name)

    def settings(self) -> list[tuple[Folder, str]]:
        """(base, setting) of datasets that show other markers than their base, each once."""
        wanted = dict.fromkeys((cell.benchmark, cell.markers) for cell in self.cells if self.markers.get(cell.markers))
        return [(self.base(benchmark), setting) for benchmark, setting in wanted]

    def to_render(self) -> list[tuple[Folder, str]]:
        """(base, setting) of datasets that show no such markers yet, each once.

        Raises:
            DatasetError: a base is not published, or does not say how it was built.
            SweepError: a setting changes more than how frames are shown.
        """
        pairs = self.settings()
        return [(base, setting) for base, setting in pairs if not is_rendered(base, setting, self.markers[setting])]

    def parameters(self, cell: Cell) -> EvaluateParameters:
        """The evaluation that a cell is."""
        conventions = conventions_of(self.base(cell.benchmark).name)
        own = {"model": cell.checkpoint, "protocol": cell.protocol, "dataset": str(self.folder(cell)), "out": self.out}
        return EvaluateParameters.model_validate({"conventions": conventions, **self.evaluate, **own})

    def evaluation(self, cell: Cell) -> Evaluation:
        """What a cell asks of whom.

        Raises:
            DatasetError, ModelError, WeightsError, ProtocolError, ScoreError: something named is not there.
        """
        Dataset(self.folder(cell))  # says which folder holds none, before it is looked for by name
        parameters = self.parameters(cell)
        made = parameters.evaluation()
        if parameters.engine.name != "openai":  # a server does not say what it holds
            check_lineage(cell.checkpoint, made.model)
        return replace(made, folder=self.kept(cell))

    def statuses(self) -> dict[Cell, CellStatus]:
        """How far each cell has come.

        Raises:
            DatasetError, ModelError, WeightsError, ScoreError, SweepError, EngineError: a cell cannot be evaluated as it is.
        """
        return {cell: self.status(cell) for cell in self.cells}

    def status(self, cell: Cell) -> CellStatus:
        """How far a cell has come; before its dataset is rendered, its base gives the number of samples."""
        changes = self.markers.get(cell.markers, {})
        ready = not changes or is_rendered(self.base(cell.benchmark), cell.markers, changes)
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
        """What a run would do for each cell; hours count every GPU of the cell's engine."""
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
