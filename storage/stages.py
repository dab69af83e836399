"""Stage folders: one part per finished video, merged into shards that are committed once.

The name of the folder contains a hash of everything that determines the rows. A build with the same specification finds its
earlier work; another specification has a folder of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

import pyarrow as pa

from storage.commit import Bundle, BundleEntry, RecordError, Rows, read_bundle, read_rows, write_bundle
from storage.common.prefetch import ordered_map
from storage.folders.files import hash8
from storage.folders.folder import ConflictError, Folder, FolderLike
from storage.folders.open import folder_at, write_json
from storage.records import parse_record
from storage.schema import TABLES

SHARD_VIDEOS = 256
"""Videos per shard: a Parquet footer takes about 1.7 kB per row group and is read completely on the first look-up."""

STAGE = "stage.json"
"""File in the folder of a stage with the values behind its hash."""

_READ_AHEAD = 4
"""Parts read concurrently while a shard is written; each is in memory completely."""


@dataclass(frozen=True)
class StageSpec:
    """Specification of a stage: its name, the version of its code, its tables, and every parameter that determines its rows."""

    name: str
    version: int
    params: Mapping[str, Any]
    tables: tuple[str, ...]

    @property
    def key(self) -> str:
        """Folder name: the name of the stage and 8 hex digits of a hash of version and parameters."""
        return f"{self.name}-{hash8({'version': self.version, 'params': dict(self.params)})}"


@dataclass(frozen=True, order=True)
class Invalidation:
    """Record that an entry of a shard is no longer valid, since its video was requeued."""

    shard: str
    video_id: str
    fingerprint: str


def read_invalidations(folder: Folder) -> dict[str, set[Invalidation]]:
    """Records of invalid entries in the folder of a stage, by file name.

    Raises:
        RecordError: a record is damaged.
    """
    records = {}
    for name in folder.names("void-*.json"):
        try:
            records[name] = set(parse_record(list[Invalidation], folder.read(name)))
        except ValueError as error:
            raise RecordError(
                f"{folder}/{name} is not a record of void entries ({error}): remove it and requeue again"
            ) from error
    return records


class StageStore:
    """Reads and writes the folder of one stage of one dataset."""

    def __init__(self, dataset: FolderLike, spec: StageSpec) -> None:
        self.spec = spec
        self.dataset = folder_at(dataset)
        self.folder = self.dataset.child(spec.key)
        self._parts = self.folder.child("parts")

    def prepare(self) -> None:
        """Write the values behind the hash of the folder into it."""
        spec = {"name": self.spec.name, "version": self.spec.version, "params": dict(self.spec.params)}
        write_json(self.folder, STAGE, spec)

    def write_part(self, entry: BundleEntry, tables: Mapping[str, pa.Table]) -> None:
        """Write the rows and the outcome of one video; a second call for the video replaces the first.

        Args:
            entry: video, fingerprint and outcome.
            tables: table name -> rows of the video.
        """
        rows = {table: [(entry.video_id, group)] for table, group in tables.items()}
        write_bundle(self._parts, _part_name(entry.video_id), [entry], rows, durable=False)

    def parts(self) -> dict[str, Bundle]:
        """Parts that are not yet in a shard, by video; damaged ones are ignored, so that their videos are processed again."""
        names = self._parts.names("part-*")
        parts = self._complete_parts((name for name in names if name.endswith(".json")), set(names))
        return {part.entries[0].video_id: part for part in parts}

    def _complete_parts(self, records: Iterable[str], names: Container[str]) -> Iterator[Bundle]:
        """Parts with all their tables; a killed process may leave a record without its tables."""
        for part in ordered_map(self._part, records, self._parts.concurrency):
            if part is not None and part.entries and all(file.path in names for file in part.tables.values()):
                yield part

    def _part(self, record: str) -> Bundle | None:
        try:
            return read_bundle(self._parts, record)
        except (RecordError, FileNotFoundError):  # damaged, or merged by another build since it was listed
            return None

    def shards(self) -> list[Bundle]:
        """Committed shards by name, without invalid entries.

        Raises:
            RecordError: a record is damaged.
        """
        names = self.folder.names("shard-*.json")
        shards = list(ordered_map(partial(read_bundle, self.folder), names, self.folder.concurrency))
        void = self._void()
        return [_without(shard, void) for shard in shards] if void else shards

    def _void(self) -> set[Invalidation]:
        return set[Invalidation]().union(*read_invalidations(self.folder).values())

    def invalidate(self, fingerprints: Mapping[str, str]) -> None:
        """Invalidate entries, by video ID and fingerprint, so that the next run processes these videos again.

        Their rows stay in place: a published manifest that lists them can be read until another one is published.

        Their rows stay where they are: a published manifest that names them can be read until another is published.
        """
        shards = ((shard.name, shard.fingerprints) for shard in self.shards())
        void = sorted(Invalidation(name, v, f) for name, known in shards for v, f in fingerprints.items() if known.get(v) == f)
        if void:
            values = [asdict(entry) for entry in void]
            write_json(self.folder, f"void-{hash8(values)}.json", values)
        parts = self.parts()
        self._remove_parts(v for v, f in fingerprints.items() if v in parts and parts[v].fingerprints.get(v) == f)

    def entries(self) -> dict[str, list[BundleEntry]]:
        """Valid entries of each video, those of shards before those of parts; a video whose source changed has several."""
        return entries_by_video((*self.shards(), *self.parts().values()))

    def shards_by_entry(self) -> dict[tuple[str, str], Bundle]:
        """(video ID, fingerprint) -> the shard that contains the entry."""
        return {(entry.video_id, entry.fingerprint): shard for shard in self.shards() for entry in shard.entries}

    def read(self, shard: Bundle, table: str, video_id: str) -> pa.Table:
        """Rows of one video in a table of a shard; empty if the video has none.

        Args:
            shard: committed shard.
            table: name of the table.
            video_id: ID of the video, its path below the videos folder.
        """
        for _, rows in read_rows(self.folder, shard, table, [video_id]):
            return rows
        return TABLES[table].empty_table()

    def commit(self, videos: Sequence[str]) -> Bundle:
        """Merge the parts of `videos`, each of which must have one, into one shard, then remove them.

        A kill before the record of the shard is written leaves the parts, which are merged again. A kill after it leaves parts
        that repeat the shard; the next `sweep` removes them.

        Raises:
            ConflictError: a part is missing, which only another build can have removed.
        """
        records = [f"{_part_name(video_id)}.json" for video_id in sorted(videos)]
        parts = [part for part in ordered_map(self._part, records, self._parts.concurrency) if part is not None]
        if len(parts) < len(records):
            raise ConflictError(f"another build is at work on '{self.dataset}' and has merged parts of this one: run again")
        entries = [part.entries[0] for part in parts]
        # A requeued video may end with an equal entry: its new shard must not have the name of the shard with the invalid one.
        void = sorted(self._void())
        key = [[e.video_id, e.fingerprint, e.outcome.status, e.outcome.reason, *_shards_of(e, void)] for e in entries]
        name = "shard-" + hash8(key)
        tables = {table: self._gather(parts, table) for table in self.spec.tables}
        shard = write_bundle(self.folder, name, entries, tables)
        self._remove_parts(entry.video_id for entry in entries)
        return shard

    def _gather(self, parts: Iterable[Bundle], table: str) -> Iterator[Rows]:
        def rows(part: Bundle) -> list[Rows]:
            return list(read_rows(self._parts, part, table))

        holders = (part for part in parts if table in part.tables)
        return chain.from_iterable(ordered_map(rows, holders, min(_READ_AHEAD, self._parts.concurrency)))

    def sweep(self) -> None:
        """Remove parts that a shard contains already, and the remains of killed writers."""
        committed = self.shards_by_entry()
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


def _without(shard: Bundle, void: set[Invalidation]) -> Bundle:
    entries = [e for e in shard.entries if Invalidation(shard.name, e.video_id, e.fingerprint) not in void]
    return shard if len(entries) == len(shard.entries) else replace(shard, entries=entries)


def _shards_of(entry: BundleEntry, void: Iterable[Invalidation]) -> list[str]:
    return [v.shard for v in void if (v.video_id, v.fingerprint) == (entry.video_id, entry.fingerprint)]


def entries_by_video(bundles: Iterable[Bundle]) -> dict[str, list[BundleEntry]]:
    """All entries of each video, in the order of the bundles."""
    entries: dict[str, list[BundleEntry]] = {}
    for bundle in bundles:
        for entry in bundle.entries:
            entries.setdefault(entry.video_id, []).append(entry)
    return entries


def _part_name(video_id: str) -> str:
    return "part-" + hashlib.sha256(video_id.encode()).hexdigest()[:20]
