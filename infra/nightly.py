"""What is evaluated every night: a sweep, whose results are compared with those that a person accepted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from infra.sweeping import Ask, Ran, ask_quietly, render_missing, run_cells
from infra.sweeps import Sweep, SweepParameters
from rl.engines.base import EngineError
from rl.evaluation.protocols import protocol_named
from rl.evaluation.regression import DropError, NightlyError, Scored, Verdict, judge, scored, series_of
from rl.evaluation.sweep import Cell
from storage.folders.files import hash8
from storage.folders.folder import Folder
from storage.folders.open import folder_at, json_bytes
from storage.progress import OnProgress
from storage.records import parsed, sealed
from tasks.build.run import FanOut

NIGHTLY = "nightly.toml"
HISTORY = "history.parquet"
_SCHEMA = pa.schema(
    [
        ("at", pa.timestamp("us", tz="UTC")),
        *((name, pa.string()) for name in ("series", "key", "convention", "task", "metric", "state")),
        *((name, pa.float64()) for name in ("mean", "difference", "low", "high")),
        *((name, pa.int64()) for name in ("samples", "changed")),
    ]
)
"""A row a series and night: `mean` in per cent, `difference` to what was accepted with its interval, null without one."""


class NightlyParameters(SweepParameters):
    """Evaluate what has changed, and fail where a model answers worse than when its results were accepted."""

    file: str = Field(NIGHTLY, title="Nightly file", description="TOML, as a sweep's; see docs/sweeps.md.")
    tolerance: float = Field(1, title="Tolerance", ge=0, le=100, description="Fall of a mean, in per cent, that is let pass.")

    @property
    def folder(self) -> Folder:
        """Where accepted results and the history are."""
        return folder_at(self.out).child("nightly")


@dataclass(frozen=True)
class Night:
    """How a series fared.

    Attributes:
        series: who was asked what and how.
        state: `unchanged`, nothing that shapes it did; `new`, nothing was accepted yet; `held`; `dropped`; `incomparable`, what
            was accepted is of another kind, or nothing can be scored; `failed`, nothing came of it.
        now: its scores; None where there are none to compare.
        verdict: against what was accepted; None where nothing was, or nothing was asked.
        why: it failed or is not comparable, a sentence.
    """

    series: str
    state: str
    now: Scored | None = None
    verdict: Verdict | None = None
    why: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {**asdict(self), "verdict": self.verdict and self.verdict._asdict()}

    def __str__(self) -> str:
        """One line: a drop names the samples that fell most."""
        told = f"{self.series}: {self.state}"
        if self.why:
            return f"{told}: {self.why}"
        assert self.now is not None
        told += f", {self.now.metric} {100 * self.now.mean:.2f}"
        if self.verdict is None:
            return told
        low, high = self.verdict.interval
        return f"{told} ({self.verdict.difference:+.2f}, {low:+.2f} to {high:+.2f}){_fallen(self.verdict)}"


_MOST_NAMED = 10


def _fallen(verdict: Verdict) -> str:
    fallen = [f"{sample} {before:.2f} to {now:.2f}" for sample, (before, now) in verdict.changed.items() if now < before]
    more = f" and {len(fallen) - _MOST_NAMED} more" if len(fallen) > _MOST_NAMED else ""
    return f"; fell: {', '.join(fallen[:_MOST_NAMED])}{more}" if verdict.dropped else ""


def run_nightly(
    parameters: NightlyParameters, on_progress: OnProgress, ask: Ask = ask_quietly, fan_out: FanOut | None = None
) -> list[Night]:
    """Evaluate what has changed, compare each series with what was accepted of it, and add the night to the history.

    Raises:
        BusyError: another night is at work in the same folder.
        DatasetError, ModelError, WeightsError, SweepError: the file names what is not there.
    """
    sweep, folder = parameters.sweep(), parameters.folder
    with folder.exclusive():
        render_missing(sweep, on_progress, fan_out)
        ran = run_cells(sweep, sweep.standings(), parameters.at_once, ask)
        nights = [_night(sweep, folder, one, parameters.tolerance) for one in ran]
        _remember(folder, nights)
    return nights


def _night(sweep: Sweep, folder: Folder, ran: Ran, tolerance: float) -> Night:
    series = series_in(sweep, ran.cell)
    if ran.results is None:
        return Night(series, "failed" if ran.asked else "incomparable", why=ran.why)
    try:
        now, accepted = _scored(series, ran), accepted_of(folder, series)
        if accepted is None:
            return Night(series, "new", now)
        verdict = judge(accepted, now, tolerance)
    except NightlyError as error:
        return Night(series, "incomparable", why=str(error))
    if accepted.key == now.key:
        return Night(series, "unchanged", now)
    return Night(series, "dropped" if verdict.dropped else "held", now, verdict)


def series_in(sweep: Sweep, cell: Cell) -> str:
    """The name under which a cell of a sweep is followed."""
    return series_of(cell, asdict(sweep.parameters(cell).decoding()))


def _scored(series: str, ran: Ran) -> Scored:
    assert ran.results is not None
    protocol = protocol_named(ran.cell.protocol)
    places = protocol.marked or protocol.boxes
    return scored(series, ran.results, places)


def accepted_of(folder: Folder, series: str) -> Scored | None:
    """What was accepted of a series; None if nothing was.

    Raises:
        NightlyError: the record is damaged.
    """
    try:
        return parsed(Scored, folder.read(_record(series)))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise NightlyError(f"{folder}/{_record(series)} is damaged ({error}): accept the results of {series} again") from None


def _record(series: str) -> str:
    return f"accepted-{hash8(series)}.json"


def accept(parameters: NightlyParameters, keep: bool = True) -> list[Scored]:
    """Let the results of every series be what later nights are compared with; without `keep`, only tell which they are.

    Raises:
        NightlyError: a series has no results yet, or none to follow; nothing is accepted then.
    """
    sweep, folder = parameters.sweep(), parameters.folder
    standings = sweep.standings()
    for cell, standing in standings.items():
        if not standing.done:
            raise NightlyError(f"{'/'.join(filter(None, cell))} has no results yet: run `stvg nightly {parameters.file}` first")
    found = [_scored(series_in(sweep, ran.cell), ran) for ran in run_cells(sweep, standings, 1)]
    if keep:
        for one in found:
            folder.write(_record(one.series), json_bytes(sealed(asdict(one))))
    return found


def check(nights: Sequence[Night]) -> None:
    """Fail where a night is not as it should be.

    Raises:
        NightlyError: something is not comparable with what was accepted.
        DropError: a series fell; every one that did is named with its samples.
        EngineError: a series could not be evaluated.
    """
    by_state = {state: [night for night in nights if night.state == state] for state in ("incomparable", "dropped", "failed")}
    if by_state["incomparable"]:
        raise NightlyError(by_state["incomparable"][0].why)
    if fell := by_state["dropped"]:
        raise DropError(f"{len(fell)} of {len(nights)} fell by more than is tolerated: {'; '.join(map(str, fell))}")
    if by_state["failed"]:
        raise EngineError(str(by_state["failed"][0]))


def history(folder: Folder) -> pa.Table:
    """Every night so far, a row a series, oldest first."""
    try:
        with folder.parquet(HISTORY) as file:
            return file.read()
    except FileNotFoundError:
        return _SCHEMA.empty_table()


def _remember(folder: Folder, nights: Sequence[Night]) -> None:
    at = datetime.now(UTC)
    rows = pa.Table.from_pylist([{"at": at, **_row(night)} for night in nights], schema=_SCHEMA)
    with folder.writing(HISTORY) as temporary:
        pq.write_table(pa.concat_tables([history(folder), rows]), temporary, compression="zstd")


def _row(night: Night) -> dict[str, Any]:
    told: dict[str, Any] = {"series": night.series, "state": night.state}
    if night.now is not None:
        now = night.now
        told |= {"key": now.key, "convention": now.convention, "task": now.task, "metric": now.metric, "mean": 100 * now.mean}
        told["samples"] = len(now.scores) + now.lost
    if night.verdict is not None:
        low, high = night.verdict.interval
        told |= {"difference": night.verdict.difference, "low": low, "high": high, "changed": len(night.verdict.changed)}
    return told
