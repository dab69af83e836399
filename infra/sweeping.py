"""Running a sweep: what it lacks is rendered and asked, and every cell has its results or why it has none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, NamedTuple

from infra.asking import run_evaluation
from infra.forms.evaluation import EvaluateParameters
from infra.rendering import render
from infra.sweeps import Sweep
from rl.engines.base import EngineError
from rl.engines.open import identity_of
from rl.evaluation.results import EvaluationResults, results_of
from rl.evaluation.run import Evaluation
from rl.evaluation.sweep import Cell, Standing
from storage.progress import OnProgress
from tasks.build.run import FanOut

Ask = Callable[[EvaluateParameters, Evaluation], EvaluationResults]
"""Runs an evaluation; returns its results."""


class Ran(NamedTuple):
    """A cell with its results, or why it has none; `asked` tells whether a model was opened for it."""

    cell: Cell
    results: EvaluationResults | None
    why: str = ""
    asked: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON values."""
        results = None if self.results is None else self.results.model_dump(mode="json")
        return {**self.cell._asdict(), "results": results, "why": self.why, "asked": self.asked}


def ask_quietly(parameters: EvaluateParameters, evaluation: Evaluation) -> EvaluationResults:
    """Run an evaluation without telling of progress."""
    return run_evaluation(parameters, evaluation, lambda *_: None)


def render_missing(sweep: Sweep, on_progress: OnProgress, fan_out: FanOut | None = None) -> int:
    """Render the datasets whose markers are not shown yet; returns how many.

    Raises:
        DatasetError, SweepError, BudgetError: as `infra.rendering.render` does.
    """
    missing = sweep.to_render()
    for base, setting in missing:
        render(base, setting, sweep.markers[setting], on_progress, fan_out)
    return len(missing)


def run_cells(sweep: Sweep, standings: Mapping[Cell, Standing], at_once: int, ask: Ask = ask_quietly) -> Iterator[Ran]:
    """Run each cell, some at once, in the order of the sweep; one that has its results opens no model.

    A cell whose engine fails has a reason in place of results, and the others go on.

    Args:
        sweep: whose datasets are rendered by now.
        standings: how far each cell had come; only what was still to be rendered is looked at again.
        at_once: cells under way together, each with an engine of its own.
        ask: runs an evaluation.
    """
    found = {cell: sweep.standing(cell) if was.to_render else was for cell, was in standings.items()}
    # Cells that come to the same evaluation wait for each other, and the second has the results of the first.
    locks = {one.key: Lock() for one in found.values()}
    kept: dict[str, EvaluationResults] = {}

    def run(cell: Cell) -> Ran:
        with locks[key := found[cell].key]:
            if key in kept:
                return Ran(cell, kept[key])
            ran = run_cell(sweep, cell, found[cell], ask)
            if ran.results is not None:
                kept[key] = ran.results
            return ran

    if at_once == 1:
        yield from map(run, found)
        return
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="cell")
    try:
        yield from pool.map(run, found)
    finally:
        pool.shutdown(cancel_futures=True)


def run_cell(sweep: Sweep, cell: Cell, found: Standing, ask: Ask = ask_quietly) -> Ran:
    """The results of a cell that has come so far: as they are kept, or from a run of its evaluation."""
    if found.why:
        return Ran(cell, None, found.why)
    parameters, evaluation = sweep.parameters(cell), sweep.evaluation(cell)
    if found.done:
        identity = identity_of(parameters.engine_config(), evaluation.model, evaluation.decoding)
        return Ran(cell, results_of(evaluation.dataset, evaluation.store_of(identity), sweep.conventions(cell)))
    try:
        return Ran(cell, ask(parameters, evaluation), asked=True)
    except EngineError as error:
        return Ran(cell, None, str(error), asked=True)
