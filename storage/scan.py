"""Sequential scan of a table by whole shards, with the next shard loaded in the background."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from itertools import accumulate
from types import TracebackType
from typing import Generic, NamedTuple, TypeVar

import pyarrow as pa

from storage.commit import open_table, table_errors, validate_rows
from storage.common.prefetch import Prefetcher
from storage.reader import Dataset
from storage.schema import TABLES

T = TypeVar("T")

_MAX_SHARDS = 3
"""Cached shards: the current, the next and the previous one, since shards of different stages may end at different videos."""


class RowSlice(NamedTuple, Generic[T]):
    """Rows of one video: the converted rows of its shard, and the positions of the video's rows among them."""

    rows: T
    positions: range


class Scan(Generic[T]):
    """Rows of one table by video, efficient in the order of videos; at most three shards are in memory.

    A look-up in `storage.reader.Dataset` reads one row group; a scan reads and converts the columns of a whole shard together.
    It is a context manager, since it owns a background thread.

    A look-up in `storage.reader.Dataset` reads one row group. To go through thousands of videos, this reads a shard's
    columns at once and converts them at once. A context manager: it owns a thread that reads ahead.
    """

    def __init__(self, dataset: Dataset, table: str, columns: list[str], convert: Callable[[pa.Table], T]) -> None:
        """Prepare a scan; `convert` turns the rows of a shard into an indexable form."""
        self._dataset, self._table, self._columns, self._convert = dataset, table, columns, convert
        self._stage = dataset.stage(table)
        self._shards = Prefetcher(self._read, _MAX_SHARDS, f"scan-{table}")

    def __enter__(self) -> Scan[T]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._shards.close()

    def find(self, video_id: str) -> RowSlice[T]:
        """Rows of a video; an empty slice if the table has none."""
        number = self._stage.videos.get(video_id)
        if number is None or self._table not in self._stage.shards[number]:
            return self._nothing
        upcoming = number + 1 < len(self._stage.shards) and self._table in self._stage.shards[number + 1]
        rows, places = self._shards.get(number, number + 1 if upcoming else None)
        return RowSlice(rows, places[video_id]) if video_id in places else self._nothing

    @cached_property
    def _nothing(self) -> RowSlice[T]:
        return RowSlice(self._convert(TABLES[self._table].empty_table().select(self._columns).combine_chunks()), range(0))

    def _read(self, number: int) -> tuple[T, dict[str, range]]:
        file = self._stage.shards[number][self._table]
        folder = self._dataset.folder.child(self._stage.key)
        with open_table(folder, file, self._table) as parquet, table_errors(f"{folder}/{file.path}"):
            counts = [parquet.metadata.row_group(group).num_rows for group in range(parquet.metadata.num_row_groups)]
            rows = validate_rows(parquet.read(self._columns, use_threads=False)).combine_chunks()
        ends = list(accumulate(counts))
        return self._convert(rows), {v: range(e - n, e) for v, e, n in zip(file.videos, ends, counts, strict=True)}
