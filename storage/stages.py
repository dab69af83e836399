"""A stage's folder: a part for each finished video, gathered into shards that are committed once.

The folder's name carries a hash of everything that shapes the rows, so the same specification finds its work again
and another one starts beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import pyarrow as pa

from storage.bundles import Bundle, Entry, Rows, read_bundle, read_rows, write_bundle
from storage.files import hash8
from storage.folders import ConflictError, Where, folder_at, in_turn, write_json
from storage.schema import TABLES

SHARD_VIDEOS = 256
"""Videos a shard: a Parquet footer takes about 1.7 kB a row group, read whole at first look-up."""

_READ_AHEAD = 4
"""Parts read at once while a shard is gathered: each is held in memory whole."""


@dataclass(frozen=True)
class Spec:
    """What shapes a stage's rows: a name, the version of its code and every parameter that matters."""

    name: str
    version: int
    params: Mapping[str, Any]
    tables: tuple[str, ...]

    @property
    def key(self) -> str:
        """Folder name: the stage and 8 hex digits of what shapes its rows."""
        return f"{self.name}-{hash8({'version': self.version, 'params': dict(self.params)})}"


class StageStore:
    """Reads and writes one stage's folder of one dataset."""

    def __init__(self, dataset: Where, spec: Spec) -> None:
        self.spec = spec
        self.dataset = folder_at(dataset)
        self.folder = self.dataset.child(spec.key)
        self._parts = self.folder.child("parts")

    def prepare(self) -> None:
        """Say in the folder what its hash stands for."""
        spec = {"name": self.spec.name, "version": self.spec.version, "params": dict(self.spec.params)}
        write_json(self.folder, "stage.json", spec)

    def write_part(self, entry: Entry, tables: Mapping[str, pa.Table]) -> None:
        """Keep the rows and outcome of one video. A second call for the video replaces the first."""
        rows = {table: [(entry.video_id, group)] for table, group in tables.items()}
        write_bundle(self._parts, _part_name(entry.video_id), [entry], rows, durable=False)

    def parts(self) -> dict[str, Bundle]:
        """Parts not yet in a shard, by video; damaged ones are passed over, so that their videos are done again."""
        there = self._parts.names("part-*")
        found = self._whole_parts((name for name in there if name.endswith(".json")), set(there))
        return {part.entries[0].video_id: part for part in found}

    def _whole_parts(self, records: Iterable[str], there: Container[str]) -> Iterator[Bundle]:
        """Parts of which everything is there; a record without its tables is what a sweep beside a dying writer may leave."""
        for part in in_turn(self._part, records, self._parts.at_once):
            if part is not None and all(file.path in there for file in part.tables.values()):
                yield part

    def _part(self, record: str) -> Bundle | None:
        try:
            return read_bundle(self._parts, record)
        except (ValueError, FileNotFoundError):  # damaged, or gathered by another build since it was listed
            return None

    def shards(self) -> list[Bundle]:
        """Committed shards, by name."""
        return list(in_turn(partial(read_bundle, self.folder), self.folder.names("shard-*.json"), self.folder.at_once))

    def known(self) -> dict[str, list[Entry]]:
        """Every entry of each video, a shard's before its part's; a changed source has several."""
        entries: dict[str, list[Entry]] = {}
        for bundle in (*self.shards(), *self.parts().values()):
            for entry in bundle.entries:
                entries.setdefault(entry.video_id, []).append(entry)
        return entries

    def committed(self) -> dict[tuple[str, str], Bundle]:
        """(video, fingerprint) -> the shard that holds it."""
        return {(entry.video_id, entry.fingerprint): shard for shard in self.shards() for entry in shard.entries}

    def read(self, shard: Bundle, table: str, video_id: str) -> pa.Table:
        """Rows of one video in a table of a shard; a video that ended otherwise than done has none."""
        for _, rows in read_rows(self.folder, shard, table, [video_id]):
            return rows
        return TABLES[table].empty_table()

    def commit(self, videos: Sequence[str]) -> Bundle:
        """Gather the parts of `videos`, which all have one, into one shard, then remove them.

        A kill before the shard's record leaves the parts, which are gathered again; a kill after it leaves parts that
        repeat the shard, which the next `sweep` removes.

        Raises:
            ConflictError: a part is gone, which only another build can have gathered.
        """
        records = [f"{_part_name(video_id)}.json" for video_id in sorted(videos)]
        parts = [part for part in in_turn(self._part, records, self._parts.at_once) if part is not None]
        if len(parts) < len(records):
            raise ConflictError(f"another build is at work on '{self.dataset}' and has gathered parts of this one: run again")
        entries = [part.entries[0] for part in parts]
        name = "shard-" + hash8([[e.video_id, e.fingerprint, e.outcome.status, e.outcome.reason] for e in entries])
        shard = write_bundle(self.folder, name, entries, {table: self._gather(parts, table) for table in self.spec.tables})
        self._remove_parts(entry.video_id for entry in entries)
        return shard

    def _gather(self, parts: Iterable[Bundle], table: str) -> Iterator[Rows]:
        def rows(part: Bundle) -> list[Rows]:
            return list(read_rows(self._parts, part, table))

        holders = (part for part in parts if table in part.tables)
        return chain.from_iterable(in_turn(rows, holders, min(_READ_AHEAD, self._parts.at_once)))

    def sweep(self) -> None:
        """Remove parts whose entry stands in a shard already, and leftovers of writers and removers that were killed."""
        committed = self.committed()
        parts = (part.entries[0] for part in self.parts().values())
        self._remove_parts(e.video_id for e in parts if (e.video_id, e.fingerprint) in committed)
        self.folder.sweep()
        self._parts.sweep()
        tables = self._parts.names("part-*.parquet")
        recorded = {record.partition(".")[0] for record in self._parts.names("part-*.json")}
        self._parts.remove([table for table in tables if table.partition(".")[0] not in recorded])

    def _remove_parts(self, videos: Iterable[str]) -> None:
        suffixes = ("json", *(f"{table}.parquet" for table in self.spec.tables))
        self._parts.remove([f"{_part_name(video_id)}.{suffix}" for video_id in videos for suffix in suffixes])


def _part_name(video_id: str) -> str:
    return "part-" + hashlib.sha256(video_id.encode()).hexdigest()[:20]
