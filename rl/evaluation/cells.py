"""Cells of a sweep: each is one evaluation, with its status before it runs and its result afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from rl.engines.base import EngineIdentity
from rl.evaluation.predictions import open_predictions, stored_predictions
from rl.evaluation.results import EvaluationResults
from rl.evaluation.run import Evaluation, remaining_samples
from storage.folders.open import folder_at
from storage.stages import STAGE, StageStore


@dataclass(frozen=True)
class Cell:
    """One evaluation of a sweep.

    Attributes:
        checkpoint: name or folder of the model.
        benchmark: name or folder of the dataset as it was built.
        protocol: how samples are put to the model.
        markers: name of a marker setting of the sweep; empty for the dataset as built.
    """

    checkpoint: str
    benchmark: str
    protocol: str
    markers: str = ""

    @property
    def name(self) -> str:
        """For people: the parts that are set, with slashes between them."""
        return "/".join(filter(None, asdict(self).values()))


class CellState(StrEnum):
    """Progress of a cell."""

    BLOCKED = "cannot run"
    UNRENDERED = "to render and ask"
    PENDING = "to ask"
    PARTIAL = "begun"
    DONE = "done"


@dataclass(frozen=True)
class CellStatus:
    """How far a cell has come.

    Attributes:
        key: of its predictions; empty while its dataset is not rendered.
        samples: number of samples; None while it is not known.
        remaining: samples without a response; None while it is not known.
        seconds: estimated seconds of the remaining samples; None where nothing comparable was measured.
        reason: why the cell cannot run; empty if it can.
    """

    key: str = ""
    samples: int | None = None
    remaining: int | None = None
    seconds: float | None = None
    reason: str = ""

    @property
    def state(self) -> CellState:
        """Progress, by the other fields."""
        if self.reason:
            return CellState.BLOCKED
        if not self.key:
            return CellState.UNRENDERED
        if self.remaining == 0:
            return CellState.DONE
        return CellState.PENDING if self.remaining == self.samples else CellState.PARTIAL

    @property
    def description(self) -> str:
        """The state in a phrase, with the reason where the cell cannot run."""
        return f"{self.state}: {self.reason}" if self.reason else str(self.state)


class CellPlan(BaseModel):
    """What a sweep would do for a cell.

    Attributes:
        cell: the evaluation.
        state: its progress.
        reason: why it cannot run; empty if it can.
        samples: number of samples; None while it is not known.
        remaining: samples without a response; None while it is not known.
        gpu_hours: estimated hours of the remaining samples times the GPUs of the engine; None where nothing comparable was
            measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cell: Cell
    state: CellState
    reason: str = ""
    samples: int | None = None
    remaining: int | None = None
    gpu_hours: float | None = None


class CellResult(BaseModel):
    """A cell that was run.

    Attributes:
        cell: the evaluation.
        results: None where it has none.
        reason: why it has no results; empty where it has.
        evaluated: whether a model was opened for it, rather than stored results read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cell: Cell
    results: EvaluationResults | None = None
    reason: str = ""
    evaluated: bool = False


class RenderTiming(BaseModel):
    """A dataset that shows a marker setting.

    Attributes:
        dataset: name of the dataset.
        clips: clips that have frames.
        seconds_per_clip: mean seconds to render a clip, from masks and source video to frames and labels; None without clips.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    clips: int
    seconds_per_clip: float | None


class SweepPlan(BaseModel):
    """What a sweep would do, cell by cell."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cells: tuple[CellPlan, ...]


class SweepRun(BaseModel):
    """A sweep that was run.

    Attributes:
        cells: in the order of the sweep.
        renders: datasets of marker settings, each once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cells: tuple[CellResult, ...]
    renders: tuple[RenderTiming, ...]


def cell_status(evaluation: Evaluation, identity: EngineIdentity) -> CellStatus:
    """How far an evaluation has come; no model is loaded and no request sent.

    Args:
        evaluation: of the cell.
        identity: of the engine that would run it.

    Raises:
        ProtocolError: the dataset has no sample of a task of the protocol.
    """
    store = evaluation.store_of(identity)
    samples, remaining = len(evaluation.samples()), remaining_samples(evaluation, store)
    rate = seconds_per_sample(evaluation, identity) if remaining else 0.0
    return CellStatus(store.spec.key, samples, remaining, None if rate is None else rate * remaining)


def seconds_per_sample(evaluation: Evaluation, identity: EngineIdentity) -> float | None:
    """Mean seconds a sample, measured by earlier predictions of the same protocol and engine; None without any.

    Earlier predictions are searched for in the evaluation's folder. The samples of a batch share its time.

    Args:
        evaluation: whose folder and protocol count.
        identity: of the engine.
    """
    samples, seconds = 0, 0.0
    for store in _earlier(evaluation):
        params = store.spec.params
        if params["engine"] == dict(identity) and params["protocol"] == evaluation.protocol.name:
            rows = [one.seconds for one in stored_predictions(store) if not one.failure]
            shared = 1 if params["engine"]["engine"] == "openai" else params["batch_size"]
            samples, seconds = samples + len(rows), seconds + sum(rows) / min(shared, max(1, len(rows)))
    return seconds / samples if samples else None


def _earlier(evaluation: Evaluation) -> Iterator[StageStore]:
    """Predictions in the evaluation's folder."""
    folder = folder_at(evaluation.folder)
    for listed in folder.files():
        key, _, name = listed.name.partition("/")
        if name == STAGE and key.startswith("predictions-"):
            yield open_predictions(f"{folder}/{key}")
