"""Reading a table from one end to the other: whole shards at a time, of which few are held."""

from __future__ import annotations

from collections import OrderedDict
from itertools import accumulate
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from storage.reader import Dataset, stage_of
from storage.schema import TABLES

_HELD = 2
"""Shards held at once: the stages of a dataset cut their shards alike, but not always at the same video."""


class _Shard(NamedTuple):
    rows: pa.Table
    places: dict[str, tuple[int, int]]


class Scan:
    """Rows of one table by video, cheap when asked for in the order of videos; memory is that of two shards.

    A look-up in `storage.reader.Dataset` reads one row group. To go through thousands of videos, this reads a shard's
    columns at once and hands out slices of them.
    """

    def __init__(self, dataset: Dataset, table: str, columns: list[str]) -> None:
        self._dataset, self._table, self._columns = dataset, table, columns
        self._stage = dataset.manifest.stages[stage_of(table)]
        self._held: OrderedDict[int, _Shard] = OrderedDict()
        self._empty = TABLES[table].empty_table().select(columns)

    def rows(self, video_id: str) -> pa.Table:
        """The rows of a video; empty if the table holds none of it."""
        shard = self._stage.videos.get(video_id)
        if shard is None or self._table not in self._stage.shards[shard]:
            return self._empty
        held = self._shard(shard)
        place = held.places.get(video_id)
        return self._empty if place is None else held.rows.slice(*place)

    def _shard(self, number: int) -> _Shard:
        if number not in self._held:
            file = self._stage.shards[number][self._table]
            with pq.ParquetFile(self._dataset.folder / self._stage.key / file.path, memory_map=True) as parquet:
                counts = [parquet.metadata.row_group(group).num_rows for group in range(parquet.metadata.num_row_groups)]
                rows = parquet.read(self._columns, use_threads=False).combine_chunks()
            starts = [0, *accumulate(counts)]
            self._held[number] = _Shard(rows, dict(zip(file.videos, zip(starts[:-1], counts, strict=True), strict=True)))
            while len(self._held) > _HELD:
                self._held.popitem(last=False)
        self._held.move_to_end(number)
        return self._held[number]
