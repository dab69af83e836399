"""Running a sweep: missing variants are rendered, then every cell is evaluated or has the reason why it cannot be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from threading import Lock
from typing import Protocol

from rl.engines.base import Engine, EngineError
from rl.engines.open import engine_identity
from rl.engines.server import Server
from rl.evaluation.cells import Cell, CellResult, CellState, CellStatus, RenderTiming
from rl.evaluation.evaluate import evaluate
from rl.evaluation.parameters import EvaluateParameters
from rl.evaluation.results import EvaluationResults, results_of
from rl.evaluation.run import Evaluation
from rl.evaluation.sweep import Sweep
from rl.models.families import Model
from storage.common.prefetch import parallel_map
from storage.folders.folder import Folder
from storage.progress import OnProgress
from storage.reader import Dataset
from tasks.build.parameters import DatasetParameters
from tasks.build.rerender import render_seconds, rendered_clips


class SweepBackend(Protocol):
    """Renders datasets and opens engines, on this machine or on a cluster."""

    def rerender(self, base: Folder, parameters: DatasetParameters, on_progress: OnProgress) -> None:
        """Render a variant of a dataset from the same masks.

        Args:
            base: folder of a published dataset.
            parameters: of the variant (`tasks.build.rerender.variant`).
            on_progress: called as videos end.

        Raises:
            StvgError: the variant cannot be rendered.
        """
        ...

    def open_engine(
        self, parameters: EvaluateParameters, model: Model, server: Server | None
    ) -> AbstractContextManager[Engine]:
        """Open the engine of an evaluation, or its replicas, as a context manager.

        Args:
            parameters: of the evaluation.
            model: to load.
            server: of the engine openai; None for the other engines.
        """
        ...


def render_missing(sweep: Sweep, backend: SweepBackend, on_progress: OnProgress) -> int:
    """Render the variants that are not published from the masks of now; returns how many.

    Args:
        sweep: whose variants are rendered.
        backend: that renders.
        on_progress: called as videos end.

    Raises:
        DatasetError, RerenderError, BudgetError: a variant cannot be rendered.
    """
    missing = [variant for variant in sweep.variants() if not variant.is_rendered]
    for variant in missing:
        backend.rerender(variant.base, variant.parameters, on_progress)
    return len(missing)


def render_timings(sweep: Sweep) -> list[RenderTiming]:
    """The dataset of each variant, with the time that a clip took."""
    timings = []
    for variant in sweep.variants():
        dataset = Dataset(variant.parameters.folder)
        clips = rendered_clips(dataset)
        seconds = render_seconds(dataset) / clips if clips else None
        timings.append(RenderTiming(dataset=dataset.folder.name, clips=clips, seconds_per_clip=seconds))
    return timings


def run_cells(
    sweep: Sweep, statuses: Mapping[Cell, CellStatus], backend: SweepBackend, at_once: int = 1
) -> Iterator[CellResult]:
    """Run each cell, in the order of the sweep; a cell that is done opens no engine.

    A cell whose engine fails has a reason in place of results, and the others go on.

    Args:
        sweep: whose variants are rendered.
        statuses: how far each cell has come; a status from before its variant was rendered is determined again.
        backend: that opens engines.
        at_once: cells that run at a time, each with an engine of its own.
    """
    current = {
        cell: sweep.status(cell) if status.state is CellState.UNRENDERED else status for cell, status in statuses.items()
    }
    # Cells that are the same evaluation wait for each other, and the second has the results of the first.
    locks = {status.key: Lock() for status in current.values()}
    finished: dict[str, EvaluationResults] = {}

    def run(cell: Cell) -> CellResult:
        with locks[key := current[cell].key]:
            if key in finished:
                return CellResult(cell=cell, results=finished[key])
            result = run_cell(sweep, cell, current[cell], backend)
            if result.results is not None:
                finished[key] = result.results
            return result

    yield from parallel_map(run, current, at_once, "cell")


def run_cell(sweep: Sweep, cell: Cell, status: CellStatus, backend: SweepBackend) -> CellResult:
    """The result of a cell: stored results where it is done, else those of a run of its evaluation.

    Args:
        sweep: whose cell it is.
        cell: to run.
        status: how far it has come.
        backend: that opens its engine.
    """
    if status.state is CellState.BLOCKED:
        return CellResult(cell=cell, reason=status.reason)
    parameters, evaluation = sweep.parameters(cell), sweep.evaluation(cell)
    if status.state is CellState.DONE:
        return CellResult(cell=cell, results=stored_results(parameters, evaluation))
    try:
        return CellResult(cell=cell, results=evaluate(parameters, evaluation, backend.open_engine), evaluated=True)
    except EngineError as error:
        return CellResult(cell=cell, reason=str(error), evaluated=True)


def stored_results(parameters: EvaluateParameters, evaluation: Evaluation) -> EvaluationResults:
    """Results of an evaluation whose predictions are complete.

    Args:
        parameters: of the evaluation.
        evaluation: made from them.
    """
    identity = engine_identity(parameters.engine, evaluation.model, parameters.server_here())
    return results_of(evaluation.dataset, evaluation.store_of(identity), parameters.scored_by())
