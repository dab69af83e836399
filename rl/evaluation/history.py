"""Stored records of regression runs: the accepted scores of each series, and the history of all runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq

from rl.evaluation.comparison import NightlyError, SeriesScores
from rl.evaluation.legacy import upgraded_state
from storage.folders.files import hash8
from storage.folders.folder import Folder
from storage.folders.open import json_bytes
from storage.records import parse_record, with_digest

HISTORY = "history.parquet"
_SCHEMA = pa.schema(
    [
        ("at", pa.timestamp("us", tz="UTC")),
        *((name, pa.string()) for name in ("series", "key", "convention", "task", "metric", "state")),
        *((name, pa.float64()) for name in ("mean", "difference", "low", "high")),
        *((name, pa.int64()) for name in ("samples", "changed")),
    ]
)


@dataclass(frozen=True)
class HistoryRow:
    """One series in one run, as the history stores it.

    Attributes:
        at: when the run ended, UTC.
        series: name of the series.
        state: one of `rl.evaluation.regression.SeriesState`.
        key, convention, task, metric: of the scores, as `SeriesScores` has them; None where there are none.
        mean: in per cent; None where there are no scores.
        difference, low, high: difference to the accepted scores and the sides of its confidence interval, in per cent points;
            None where nothing was compared.
        samples: number of samples, lost ones included; None where there are no scores.
        changed: samples whose score changed; None where nothing was compared.
    """

    at: datetime
    series: str
    state: str
    key: str | None = None
    convention: str | None = None
    task: str | None = None
    metric: str | None = None
    mean: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    samples: int | None = None
    changed: int | None = None


def read_history(folder: Folder) -> list[HistoryRow]:
    """Rows of all runs so far, one a series and run, oldest first; none where there was no run."""
    return [HistoryRow(**{**row, "state": upgraded_state(row["state"])}) for row in _table(folder).to_pylist()]


def append_history(folder: Folder, rows: Iterable[HistoryRow]) -> None:
    """Add the rows of a run to the history."""
    added = pa.Table.from_pylist([asdict(row) for row in rows], schema=_SCHEMA)
    with folder.writing(HISTORY) as temporary:
        pq.write_table(pa.concat_tables([_table(folder), added]), temporary, compression="zstd")


def _table(folder: Folder) -> pa.Table:
    try:
        with folder.parquet(HISTORY) as file:
            return file.read()
    except FileNotFoundError:
        return _SCHEMA.empty_table()


def accepted_scores(folder: Folder, series: str) -> SeriesScores | None:
    """The accepted scores of a series; None if there are none.

    Raises:
        NightlyError: the record is damaged.
    """
    try:
        return parse_record(SeriesScores, folder.read(_record(series)))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise NightlyError(f"{folder}/{_record(series)} is damaged ({error}): accept the results of {series} again") from None


def store_accepted(folder: Folder, scores: SeriesScores) -> None:
    """Make these the accepted scores of their series."""
    folder.write(_record(scores.series), json_bytes(with_digest(scores.model_dump(mode="json"))))


def _record(series: str) -> str:
    return f"accepted-{hash8(series)}.json"
