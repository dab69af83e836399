"""What can be removed, and what must stay: readers and the next build see no difference."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest

from storage.commit import BundleEntry
from storage.garbage import Garbage, find_garbage, remove_garbage
from storage.manifest import DatasetError, Ending, manifest_version, publish, published_stage
from storage.outcomes import Outcome
from storage.reader import Dataset
from storage.schema import VIDEOS
from storage.specification import BuildRequest, write_build_request
from storage.stages import StageSpec, StageStore


def rows(video_id: str) -> dict[str, pa.Table]:
    return {"videos": pa.Table.from_pylist([{"video_id": video_id, "width": 64}], schema=VIDEOS)}


def write(store: StageStore, video_id: str, outcome: Outcome | None = None) -> None:
    store.write_part(BundleEntry(video_id, video_id, outcome or Outcome("done")), {} if outcome else rows(video_id))


def publish_videos(folder: Path, store: StageStore, videos: str) -> None:
    stage = published_stage(store, {video_id: video_id for video_id in videos})
    endings = [Ending(v, "masks", Outcome("done")) for v in videos]
    publish(folder, {"masks": stage}, endings, {}, {}, manifest_version(folder))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Published: `a` and `b`, and `bad` settled without rows; beside them one of each kind of garbage, all of it old."""
    folder = tmp_path / "set"
    old = StageStore(folder, StageSpec("masks", 0, {}, ("videos",)))
    old.prepare()
    write(old, "a")
    old.commit(["a"])
    store = StageStore(folder, StageSpec("masks", 1, {}, ("videos",)))
    store.prepare()
    write(store, "x")
    store.commit(["x"])
    store.invalidate({"x": "x"})
    for video_id in "abx":
        write(store, video_id)
    write(store, "bad", Outcome("quarantined", "truncated"))
    store.commit(["a", "b", "bad"])
    publish_videos(folder, store, "a")
    publish_videos(folder, store, "ab")
    write(store, "a")
    write(store, "loose")
    write(store, "hopeful", Outcome("failed", "worker_died"))
    (folder / store.spec.key / "shard-00000000.videos.parquet").write_bytes(b"orphan")
    (folder / store.spec.key / "parts" / "part-0.videos.parquet").write_bytes(b"orphan")
    (folder / store.spec.key / ".shard-1.json.1-2.tmp").write_bytes(b"torn")
    (folder / "notes.txt").write_text("mine")
    (folder / "mine").mkdir()
    (folder / "mine" / "shard-1.json").write_text("mine too")
    age(folder, 48)
    return folder


def age(folder: Path, hours: float) -> None:
    for path in folder.rglob("*"):
        then = path.stat().st_mtime - 3600 * hours
        os.utime(path, (then, then))


def kinds(found: list[Garbage]) -> dict[str, int]:
    return {kind: sum(item.kind == kind for item in found) for kind in sorted({item.kind for item in found})}


def test_each_kind_of_garbage_is_listed_and_nothing_else(folder: Path) -> None:
    found = find_garbage(folder, 24)
    assert kinds(found) == {
        "old outcomes": 1,
        "old stage": 1,
        "orphan": 4,  # two tables without a record, that of a part that a shard repeats, and what made the shard void
        "part in a shard": 1,
        "temporary": 1,
        "void shard": 2,
    }
    assert all(item.bytes > 0 for item in found)
    assert not [item for item in found if "mine" in item.name or item.name == "notes.txt"]


def test_after_it_the_dataset_reads_the_same_and_every_known_video_is_known(folder: Path) -> None:
    store = StageStore(folder, StageSpec("masks", 1, {}, ("videos",)))
    table, known, manifest = Dataset(folder).table("videos"), store.entries(), Dataset(folder).manifest
    remove_garbage(folder, find_garbage(folder, 24))
    assert Dataset(folder).manifest == manifest
    assert Dataset(folder).table("videos") == table
    assert {v: e[-1] for v, e in store.entries().items()} == {v: e[-1] for v, e in known.items()}
    assert set(store.parts()) == {"loose", "hopeful", "x"}
    assert find_garbage(folder, 0) == []
    assert len(list(folder.glob("masks-*"))) == 1, "no empty folder is left"


def test_what_is_younger_than_the_limit_stays(folder: Path) -> None:
    assert find_garbage(folder, 72) == []
    (folder / ".fresh.tmp").write_bytes(b"")
    assert ".fresh.tmp" not in {item.name for item in find_garbage(folder, 24)}
    assert ".fresh.tmp" in {item.name for item in find_garbage(folder, 0)}


def test_void_rows_stay_while_the_manifest_names_them(folder: Path) -> None:
    store = StageStore(folder, StageSpec("masks", 1, {}, ("videos",)))
    remove_garbage(folder, find_garbage(folder, 0))
    store.invalidate({"a": "a", "b": "b", "bad": "bad"})
    assert find_garbage(folder, 0) == []
    assert Dataset(folder).video_ids() == ["a", "b"]


def test_the_folders_of_the_last_build_stay_even_if_it_was_not_published(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    store = StageStore(folder, StageSpec("masks", 1, {}, ("videos",)))
    store.prepare()
    write(store, "a")
    with pytest.raises(DatasetError, match="has no build request"):
        find_garbage(folder, 0)
    write_build_request(folder, BuildRequest("folder", {}, [store.spec.key]))
    assert find_garbage(folder, 0) == []
    write_build_request(folder, BuildRequest("folder", {}, []))
    assert kinds(find_garbage(folder, 0)) == {"old stage": 1}
