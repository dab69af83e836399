"""What is evaluated every night: a sweep, whose results are compared with those that a person accepted."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import Field

from infra.sweeping import Ask, ask_quietly, render_missing, run_cells
from infra.sweeps import Sweep, SweepParameters
from rl.evaluation.cells import Cell, CellState
from rl.evaluation.comparison import NightlyError, SeriesScores, series_name
from rl.evaluation.history import append_history, store_accepted
from rl.evaluation.regression import RegressionRun, scores_of, series_run
from storage.folders.folder import Folder
from storage.folders.open import folder_at
from storage.progress import OnProgress
from tasks.build.run import FanOut

NIGHTLY = "nightly.toml"


class NightlyParameters(SweepParameters):
    """Evaluate what has changed, and fail where a model answers worse than when its results were accepted."""

    file: str = Field(NIGHTLY, title="Nightly file", description="TOML, as a sweep's; see docs/sweeps.md.")
    tolerance: float = Field(1, title="Tolerance", ge=0, le=100, description="Fall of a mean, in per cent, that is let pass.")

    @property
    def folder(self) -> Folder:
        """Folder of the accepted scores and the history."""
        return folder_at(self.out).child("nightly")


def run_nightly(
    parameters: NightlyParameters, on_progress: OnProgress, ask: Ask = ask_quietly, fan_out: FanOut | None = None
) -> RegressionRun:
    """Evaluate what has changed, compare each series with its accepted scores, and add the run to the history.

    Args:
        parameters: of the run.
        on_progress: called after each rendered video.
        ask: runs an evaluation.
        fan_out: renders; by default Ray, where there is something to render.

    Raises:
        BusyError: another run is at work in the same folder.
        DatasetError, ModelError, WeightsError, SweepError: the file names something that does not exist.
    """
    sweep, folder = parameters.sweep(), parameters.folder
    with folder.lock():
        render_missing(sweep, on_progress, fan_out)
        results = run_cells(sweep, sweep.statuses(), parameters.at_once, ask)
        series = tuple(series_run(folder, series_of(sweep, one.cell), one, parameters.tolerance) for one in results)
        run = RegressionRun(at=datetime.now(UTC), series=series)
        append_history(folder, [one.history_row(run.at) for one in series])
    return run


def series_of(sweep: Sweep, cell: Cell) -> str:
    """The name of the series of a cell."""
    return series_name(cell, sweep.parameters(cell).decoding)


def accept(parameters: NightlyParameters, store: bool = True) -> list[SeriesScores]:
    """Make the present results of every series the accepted ones.

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
    accepted = [scores_of(series_of(sweep, result.cell), result) for result in run_cells(sweep, statuses, 1)]
    if store:
        for scores in accepted:
            store_accepted(folder, scores)
    return accepted
