"""Running a sweep: what it lacks is rendered and asked, and every cell has its results or why it has none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

from infra.ray.build import rerender_dataset
from infra.ray.engine_actors import replicated
from infra.sweeps import Sweep
from rl.engines.base import EngineError
from rl.engines.open import engine_identity
from rl.evaluation.cells import Cell, CellResult, CellState, CellStatus, RenderTiming
from rl.evaluation.evaluate import evaluate
from rl.evaluation.parameters import EvaluateParameters
from rl.evaluation.results import EvaluationResults, results_of
from rl.evaluation.run import Evaluation
from storage.progress import OnProgress
from storage.reader import Dataset
from tasks.build.rerender import render_seconds, rendered_clips, variant
from tasks.build.run import FanOut

Ask = Callable[[EvaluateParameters, Evaluation], EvaluationResults]
"""Runs an evaluation; returns its results."""


def ask_quietly(parameters: EvaluateParameters, evaluation: Evaluation) -> EvaluationResults:
    """Run an evaluation without telling of progress."""
    return evaluate(parameters, evaluation, replicated)


def render_missing(sweep: Sweep, on_progress: OnProgress, fan_out: FanOut | None = None) -> int:
    """Render the datasets whose markers are not shown yet; returns how many.

    Raises:
        DatasetError, SweepError, BudgetError: as `tasks.build.rerender.variant` does.
    """
    missing = sweep.to_render()
    for base, setting in missing:
        rerender_dataset(base, setting, sweep.markers[setting], on_progress, fan_out)
    return len(missing)


def render_timings(sweep: Sweep) -> list[RenderTiming]:
    """The rendered dataset of each marker setting, with what a clip took."""
    timings = []
    for base, setting in sweep.settings():
        dataset = Dataset(variant(base, setting, sweep.markers[setting]).folder)
        clips = rendered_clips(dataset)
        seconds = render_seconds(dataset) / clips if clips else None
        timings.append(RenderTiming(dataset=dataset.folder.name, clips=clips, seconds_per_clip=seconds))
    return timings


def run_cells(sweep: Sweep, statuses: Mapping[Cell, CellStatus], at_once: int, ask: Ask = ask_quietly) -> Iterator[CellResult]:
    """Run each cell, some concurrently, in the order of the sweep; a cell that is done opens no model.

    A cell whose engine fails has a reason in place of results, and the others go on.

    Args:
        sweep: whose datasets are rendered.
        statuses: how far each cell has come; a status from before its dataset was rendered is determined again.
        at_once: concurrent cells, each with an engine of its own.
        ask: runs an evaluation.
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
            result = run_cell(sweep, cell, current[cell], ask)
            if result.results is not None:
                finished[key] = result.results
            return result

    if at_once == 1:
        yield from map(run, current)
        return
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="cell")
    try:
        yield from pool.map(run, current)
    finally:
        pool.shutdown(cancel_futures=True)


def run_cell(sweep: Sweep, cell: Cell, status: CellStatus, ask: Ask = ask_quietly) -> CellResult:
    """The result of a cell: stored results where it is done, else those of a run of its evaluation.

    Args:
        sweep: whose cell it is.
        cell: to run.
        status: how far it has come.
        ask: runs an evaluation.
    """
    if status.state is CellState.BLOCKED:
        return CellResult(cell=cell, reason=status.reason)
    parameters, evaluation = sweep.parameters(cell), sweep.evaluation(cell)
    if status.state is CellState.DONE:
        identity = engine_identity(parameters.engine, evaluation.model, parameters.server_here())
        results = results_of(evaluation.dataset, evaluation.store_of(identity), parameters.scored_by())
        return CellResult(cell=cell, results=results)
    try:
        return CellResult(cell=cell, results=ask(parameters, evaluation), evaluated=True)
    except EngineError as error:
        return CellResult(cell=cell, reason=str(error), evaluated=True)
