"""Unreferenced files of a dataset, left by changed settings, changed videos and killed processes.

A file is in use if the manifest names it, or if the next build with the parameters of the last one would reuse it. Files that
this code does not write are never listed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from storage.commit import Bundle, BundleEntry, RecordError, read_bundle
from storage.folders.folder import FileInfo, Folder, FolderLike
from storage.folders.local import LocalFolder
from storage.folders.open import folder_at
from storage.manifest import MANIFEST, Manifest, load_manifest
from storage.specification import BUILD_REQUEST, read_build_request
from storage.stages import Invalidation, read_invalidations

GarbageKind = Literal["old stage", "old outcomes", "orphan", "void shard", "part in a shard", "temporary"]
GarbageKey = tuple[str, GarbageKind]
"""Name of a file and the reason why it can be removed."""


@dataclass(frozen=True)
class Garbage:
    """A file, or the folder of a stage, that can be removed.

    Attributes:
        name: path below the folder of the dataset.
        kind: reason why it can be removed.
        files: the file itself, or all files of the folder.
    """

    name: str
    kind: GarbageKind
    files: Sequence[FileInfo]

    @property
    def bytes(self) -> int:
        """Total size of the files in bytes."""
        return sum(file.size for file in self.files)


def find_garbage(where: FolderLike, older_than_h: float) -> list[Garbage]:
    """List what can be removed from a dataset, by name, without changing anything.

    Args:
        where: folder of the dataset, its path or `s3://` URL.
        older_than_h: minimum age in hours of the newest file of an item.

    Raises:
        DatasetError: the folder has neither a manifest nor a build request, or one of them is damaged.
        RecordError: the record of a shard is damaged.
    """
    folder = folder_at(where)
    files = {file.name: file for file in folder.files()}
    limit = time.time_ns() - int(3600e9 * older_than_h)
    items: dict[GarbageKey, list[FileInfo]] = {}
    for name, kind in sorted(_unreferenced(folder, files.keys())):
        whole = name.partition("/")[0] if kind == "old stage" else name
        items.setdefault((whole, kind), []).append(files[name])
    candidates = [Garbage(name, kind, inside) for (name, kind), inside in items.items()]
    return [item for item in candidates if max(file.modified_ns for file in item.files) <= limit]


def remove_garbage(where: FolderLike, garbage: Iterable[Garbage]) -> None:
    """Remove garbage: records before their tables, and shards before the invalidations of their entries.

    Args:
        where: folder of the dataset, its path or `s3://` URL.
        garbage: items from `find_garbage`.
    """
    folder = folder_at(where)
    items = list(garbage)
    names = [file.name for item in items for file in item.files]
    folder.remove(sorted(names, key=lambda name: (not name.endswith(".json"), name)))
    if isinstance(folder, LocalFolder):
        for item in items:
            if item.kind == "old stage":
                _remove_empty(folder, item.name)


def _remove_empty(folder: LocalFolder, name: str) -> None:
    for path in (folder.path / name / "parts", folder.path / name):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def _unreferenced(folder: Folder, names: Set[str]) -> Iterator[GarbageKey]:
    manifest = load_manifest(folder) if MANIFEST in names else None
    needed = {stage.key for stage in manifest.stages.values()} if manifest else set()
    if manifest is None or BUILD_REQUEST in names:
        needed |= set(read_build_request(folder).stages)
    yield from ((name, "temporary") for name in _own(names, ".*.tmp"))
    if manifest:
        yield from ((name, "old outcomes") for name in _own(names, "outcomes-*.parquet") if name != manifest.outcomes)
    for stage in {name.partition("/")[0] for name in names if name.count("/") == 1 and name.endswith("/stage.json")}:
        inside = _below(names, stage)
        names_and_kinds = _in_stage(folder.child(stage), inside, _named(manifest, stage)) if stage in needed else _all(inside)
        yield from ((f"{stage}/{name}", kind) for name, kind in names_and_kinds)


def _all(names: Set[str]) -> Iterator[GarbageKey]:
    yield from ((name, "old stage") for name in names)


def _named(manifest: Manifest | None, key: str) -> set[str]:
    """Table files of a stage that the manifest lists."""
    stages = manifest.stages.values() if manifest else ()
    return {file.path for stage in stages if stage.key == key for shard in stage.shards for file in shard.values()}


def _in_stage(stage: Folder, names: Set[str], named: Set[str]) -> Iterator[GarbageKey]:
    shards = {_stem(name): read_bundle(stage, name) for name in _own(names, "shard-*.json")}
    records = read_invalidations(stage)
    void = set[Invalidation]().union(*records.values())
    left = {name for name, shard in shards.items() if _counts(shard, void, named)}
    yield from ((f"{name}.json", "void shard") for name in shards.keys() - left)
    for name in _own(names, "shard-*.parquet"):
        if name not in named and _stem(name) not in left:
            yield name, "void shard" if _stem(name) in shards else "orphan"
    yield from ((name, "orphan") for name, entries in records.items() if {e.shard for e in entries}.isdisjoint(left))
    committed = {(e.video_id, e.fingerprint) for shard in shards.values() for e in shard.entries if _is_live(shard, e, void)}
    parts = _below(names, "parts")
    yield from ((f"parts/{name}", kind) for name, kind in _in_parts(stage.child("parts"), parts, committed))
    yield from ((name, "temporary") for name in _own(names, ".*.tmp"))


def _in_parts(folder: Folder, names: Set[str], committed: Set[tuple[str, str]]) -> Iterator[GarbageKey]:
    """Parts that a shard contains already, their tables, and tables without a record."""
    records = set(_own(names, "part-*.json"))
    loose = {name for name in records if _is_loose(folder, name, committed)}
    kept = {_stem(name) for name in loose}
    yield from ((name, "part in a shard") for name in records - loose)
    yield from ((name, "orphan") for name in _own(names, "part-*.parquet") if _stem(name) not in kept)
    yield from ((name, "temporary") for name in _own(names, ".*.tmp"))


def _is_loose(folder: Folder, record: str, committed: Set[tuple[str, str]]) -> bool:
    try:
        [entry] = read_bundle(folder, record).entries
    except (RecordError, ValueError):
        return True  # a build ignores it and writes a new one
    return (entry.video_id, entry.fingerprint) not in committed


def _counts(shard: Bundle, void: Set[Invalidation], named: Set[str]) -> bool:
    """Whether a shard has a valid entry, or the manifest lists one of its files."""
    return any(_is_live(shard, entry, void) for entry in shard.entries) or any(f.path in named for f in shard.tables.values())


def _is_live(shard: Bundle, entry: BundleEntry, void: Set[Invalidation]) -> bool:
    return Invalidation(shard.name, entry.video_id, entry.fingerprint) not in void


def _own(names: Iterable[str], pattern: str) -> list[str]:
    """Names that match a pattern, without files of subfolders."""
    return [name for name in names if "/" not in name and fnmatchcase(name, pattern)]


def _below(names: Iterable[str], folder: str) -> set[str]:
    """Names of the files in a subfolder, relative to it."""
    return {name.removeprefix(f"{folder}/") for name in names if name.startswith(f"{folder}/")}


def _stem(name: str) -> str:
    """Name of the bundle of a file."""
    return name.partition(".")[0]
