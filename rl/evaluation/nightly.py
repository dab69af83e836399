"""Nightly runs: a sweep whose results are compared with the scores that a person accepted."""

from __future__ import annotations

from datetime import UTC, datetime

from rl.evaluation.cells import Cell, CellResult, CellState
from rl.evaluation.comparison import NightlyError, SeriesScores, series_name
from rl.evaluation.history import append_history, store_accepted
from rl.evaluation.parameters import NightlyParameters
from rl.evaluation.regression import RegressionRun, scores_of, series_run
from rl.evaluation.sweep import Sweep
from rl.evaluation.sweep_run import SweepBackend, render_missing, run_cells, stored_results
from storage.progress import OnProgress


def run_nightly(parameters: NightlyParameters, backend: SweepBackend, on_progress: OnProgress) -> RegressionRun:
    """Evaluate what has changed, compare each series with its accepted scores, and add the run to the history.

    Args:
        parameters: of the run.
        backend: that renders and opens engines.
        on_progress: called after each rendered video.

    Raises:
        BusyError: another run is at work in the same folder.
        DatasetError, ModelError, WeightsError, SweepError: the file names something that does not exist.
    """
    sweep, folder = parameters.sweep(), parameters.folder
    with folder.lock():
        render_missing(sweep, backend, on_progress)
        results = run_cells(sweep, sweep.statuses(), backend, parameters.at_once)
        series = tuple(series_run(folder, series_of(sweep, one.cell), one, parameters.tolerance) for one in results)
        run = RegressionRun(at=datetime.now(UTC), series=series)
        append_history(folder, [one.history_row(run.at) for one in series])
    return run


def series_of(sweep: Sweep, cell: Cell) -> str:
    """Name of the series of a cell."""
    return series_name(cell, sweep.parameters(cell).decoding)


def accept(parameters: NightlyParameters, store: bool = True) -> list[SeriesScores]:
    """Make the stored results of every series the accepted ones.

    Args:
        parameters: of the runs.
        store: False only returns what would be accepted.

    Raises:
        NightlyError: a series has no results yet, or nothing of it is scored; nothing is accepted then.
    """
    sweep, folder = parameters.sweep(), parameters.folder
    statuses = sweep.statuses()
    for cell, status in statuses.items():
        if status.state is not CellState.DONE:
            raise NightlyError(f"{cell.name} has no results yet: run `stvg nightly {parameters.file}` first")
    accepted = []
    for cell in statuses:
        results = stored_results(sweep.parameters(cell), sweep.evaluation(cell))
        accepted.append(scores_of(series_of(sweep, cell), CellResult(cell=cell, results=results)))
    if store:
        for scores in accepted:
            store_accepted(folder, scores)
    return accepted
