"""Regression runs: each series is evaluated where something has changed, and compared with its accepted scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from rl.engines.base import EngineError
from rl.evaluation.cells import Cell, CellResult
from rl.evaluation.comparison import Comparison, NightlyError, SeriesScores, compare_scores, series_scores
from rl.evaluation.history import HistoryRow, accepted_scores
from rl.evaluation.protocols import protocol_named
from storage.common.errors import StvgError
from storage.folders.folder import Folder

_MAX_NAMED = 10
"""Fallen samples that a message names."""


class DropError(StvgError):
    """A model scores worse than when its results were accepted."""


class SeriesState(StrEnum):
    """Outcome of a series in a regression run."""

    UNCHANGED = "unchanged"
    """Nothing that shapes its predictions has changed since they were accepted."""
    NEW = "new"
    """Nothing is accepted yet."""
    PASSED = "passed"
    """Evaluated again, without a fall beyond the tolerance."""
    DROPPED = "dropped"
    """Evaluated again, with a fall beyond the tolerance that chance does not explain."""
    INCOMPARABLE = "incomparable"
    """The accepted scores are of another kind, or nothing can be scored."""
    FAILED = "failed"
    """The engine failed."""


class SeriesRun(BaseModel):
    """One series in one regression run.

    Attributes:
        series: name of the series.
        cell: the evaluation of the sweep.
        state: the outcome.
        scores: scores of now; None where there are none to compare.
        comparison: with the accepted scores; None where nothing was compared.
        reason: why it failed or cannot be compared, one sentence; empty otherwise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    series: str
    cell: Cell
    state: SeriesState
    scores: SeriesScores | None = None
    comparison: Comparison | None = None
    reason: str = ""

    @property
    def summary(self) -> str:
        """One line for people; a drop names the samples that fell most."""
        line = f"{self.series}: {self.state}"
        if self.reason:
            return f"{line}: {self.reason}"
        assert self.scores is not None
        line += f", {self.scores.metric} {100 * self.scores.mean:.2f}"
        if self.comparison is None:
            return line
        low, high = self.comparison.interval
        return f"{line} ({self.comparison.difference:+.2f}, {low:+.2f} to {high:+.2f}){_fallen(self.comparison)}"

    def history_row(self, at: datetime) -> HistoryRow:
        """Its row of the history of a run that ended at a time, UTC."""
        scores, comparison = self.scores, self.comparison
        row = HistoryRow(at, self.series, self.state)
        if scores is not None:
            row = replace(row, key=scores.key, convention=scores.convention, task=scores.task, metric=scores.metric)
            row = replace(row, mean=100 * scores.mean, samples=scores.samples)
        if comparison is not None:
            low, high = comparison.interval
            row = replace(row, difference=comparison.difference, low=low, high=high, changed=len(comparison.changed))
        return row


class RegressionRun(BaseModel):
    """All series of one regression run.

    Attributes:
        at: when the run ended, UTC.
        series: in the order of the sweep.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: datetime
    series: tuple[SeriesRun, ...]

    @property
    def unchanged(self) -> bool:
        """Whether no request was sent, since nothing has changed."""
        return all(one.state is SeriesState.UNCHANGED for one in self.series)

    def check(self) -> None:
        """Fail where a series is not as it should be.

        Raises:
            NightlyError: a series cannot be compared with its accepted scores.
            DropError: a series dropped; the message names each one with its samples.
            EngineError: a series could not be evaluated.
        """
        if incomparable := self._in_state(SeriesState.INCOMPARABLE):
            raise NightlyError(incomparable[0].reason)
        if dropped := self._in_state(SeriesState.DROPPED):
            lines = "; ".join(one.summary for one in dropped)
            raise DropError(f"{len(dropped)} of {len(self.series)} fell by more than is tolerated: {lines}")
        if failed := self._in_state(SeriesState.FAILED):
            raise EngineError(failed[0].summary)

    def _in_state(self, state: SeriesState) -> Sequence[SeriesRun]:
        return [one for one in self.series if one.state is state]


class Acceptance(BaseModel):
    """Scores that are, or would be, the accepted ones.

    Attributes:
        accepted: one a series.
        stored: whether later runs are compared with them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    accepted: tuple[SeriesScores, ...]
    stored: bool


def _fallen(comparison: Comparison) -> str:
    if not comparison.dropped:
        return ""
    lines = [f"{sample_id} {before:.2f} to {now:.2f}" for sample_id, (before, now) in comparison.fallen.items()]
    more = f" and {len(lines) - _MAX_NAMED} more" if len(lines) > _MAX_NAMED else ""
    return f"; fell: {', '.join(lines[:_MAX_NAMED])}{more}"


def series_run(folder: Folder, series: str, result: CellResult, tolerance: float) -> SeriesRun:
    """Compare the result of a cell with the accepted scores of its series.

    Args:
        folder: where accepted scores are.
        series: name of the series.
        result: of the cell.
        tolerance: largest fall of the mean that passes, in per cent points.
    """
    if result.results is None:
        state = SeriesState.FAILED if result.evaluated else SeriesState.INCOMPARABLE
        return SeriesRun(series=series, cell=result.cell, state=state, reason=result.reason)
    try:
        now, accepted = scores_of(series, result), accepted_scores(folder, series)
        comparison = None if accepted is None else compare_scores(accepted, now, tolerance)
    except NightlyError as error:
        return SeriesRun(series=series, cell=result.cell, state=SeriesState.INCOMPARABLE, reason=str(error))
    if accepted is None or comparison is None:
        return SeriesRun(series=series, cell=result.cell, state=SeriesState.NEW, scores=now)
    if accepted.key == now.key:
        return SeriesRun(series=series, cell=result.cell, state=SeriesState.UNCHANGED, scores=now)
    state = SeriesState.DROPPED if comparison.dropped else SeriesState.PASSED
    return SeriesRun(series=series, cell=result.cell, state=state, scores=now, comparison=comparison)


def scores_of(series: str, result: CellResult) -> SeriesScores:
    """The scores of a cell that are compared.

    Args:
        series: name of the series.
        result: of the cell, with results.

    Raises:
        NightlyError: nothing was scored.
    """
    assert result.results is not None
    protocol = protocol_named(result.cell.protocol)
    return series_scores(series, result.results, places=protocol.marked or protocol.boxes)
