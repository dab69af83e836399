from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.commit import BundleEntry, RecordError, read_bundle, read_rows, write_bundle
from storage.folders.files import BusyError, atomic_file, hash8
from storage.folders.open import folder_at, write_json
from storage.outcomes import Outcome
from storage.schema import CLIPS, SCHEMA_VERSION
from storage.stages import StageSpec, StageStore


def clip_rows(video_id: str, count: int = 2) -> pa.Table:
    rows = [{"clip_id": f"{video_id}#{n}", "video_id": video_id, "start_s": float(n)} for n in range(count)]
    return pa.Table.from_pylist(rows, schema=CLIPS)


def entry(video_id: str, fingerprint: str = "f", outcome: Outcome | None = None) -> BundleEntry:
    return BundleEntry(video_id, fingerprint, outcome or Outcome("done"))


@pytest.fixture
def store(tmp_path: Path) -> StageStore:
    made = StageStore(tmp_path, StageSpec("frames", 1, {"theta": 0.5}, ("clips",)))
    made.prepare()
    return made


def test_a_bundle_has_one_row_group_a_video_and_says_its_schema_version(tmp_path: Path) -> None:
    rows = [("a", clip_rows("a")), ("b", clip_rows("b", 3)), ("none", clip_rows("none", 0))]
    bundle = write_bundle(folder_at(tmp_path), "shard-1", [entry("a"), entry("b")], {"clips": rows})
    file = bundle.tables["clips"]
    assert (file.rows, file.videos) == (5, ["a", "b"])
    parquet = pq.ParquetFile(tmp_path / file.path)
    assert parquet.num_row_groups == 2
    assert parquet.schema_arrow.metadata[b"schema_version"] == str(SCHEMA_VERSION).encode()
    assert read_bundle(folder_at(tmp_path), "shard-1.json") == bundle
    assert [v for v, t in read_rows(folder_at(tmp_path), bundle, "clips", ["b"]) if t.num_rows == 3] == ["b"]


def test_equal_rows_make_equal_bytes(tmp_path: Path) -> None:
    first = write_bundle(folder_at(tmp_path / "1"), "x", [entry("a")], {"clips": [("a", clip_rows("a"))]})
    second = write_bundle(folder_at(tmp_path / "2"), "x", [entry("a")], {"clips": [("a", clip_rows("a"))]})
    assert first == second


def test_a_damaged_record_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "shard-1.json").write_text('{"name": "x"}')
    with pytest.raises(RecordError, match=r"shard-1\.json is not a bundle record"):
        read_bundle(folder_at(tmp_path), "shard-1.json")


def test_parts_are_gathered_into_a_shard_and_removed(store: StageStore) -> None:
    for video_id in ("b", "a"):
        store.write_part(entry(video_id), {"clips": clip_rows(video_id)})
    store.write_part(entry("bad", outcome=Outcome("quarantined", "truncated")), {})
    shard = store.commit(["a", "b", "bad"])
    assert shard.tables["clips"].videos == ["a", "b"]
    assert [e.video_id for e in shard.entries] == ["a", "b", "bad"]
    assert store.parts() == {}
    assert store.folder.child("parts").names("*") == []
    assert store.read(shard, "clips", "b").num_rows == 2
    assert store.read(shard, "clips", "bad").num_rows == 0


def test_a_second_attempt_replaces_the_first(store: StageStore) -> None:
    store.write_part(entry("a", outcome=Outcome("failed", "error")), {})
    store.write_part(entry("a"), {"clips": clip_rows("a")})
    assert [e.outcome.status for e in store.entries()["a"]] == ["done"]


def test_a_damaged_part_counts_as_not_done(store: StageStore) -> None:
    store.write_part(entry("a"), {"clips": clip_rows("a")})
    parts = store.folder.child("parts")
    [record] = parts.names("*.json")
    parts.write(record, parts.read(record)[:40])
    assert store.entries() == {}


def test_sweep_removes_parts_that_a_shard_repeats_and_leftovers(store: StageStore) -> None:
    store.write_part(entry("a"), {"clips": clip_rows("a")})
    store.commit(["a"])
    store.write_part(entry("a"), {"clips": clip_rows("a")})
    store.write_part(entry("new"), {"clips": clip_rows("new")})
    store.folder.write(".shard-x.clips.parquet.1-2.tmp", b"torn")
    store.sweep()
    assert list(store.parts()) == ["new"]
    assert store.folder.names(".*.tmp") == []


def test_the_folder_name_follows_what_shapes_the_rows(tmp_path: Path) -> None:
    def key(version: int, theta: float) -> str:
        return StageSpec("frames", version, {"theta": theta}, ()).key

    assert key(1, 0.5) == key(1, 0.5) != key(1, 0.3)
    assert key(1, 0.5) != key(2, 0.5)
    assert key(1, 0.5).startswith("frames-")
    assert hash8({"a": 1, "b": 2}) == hash8({"b": 2, "a": 1})


def test_a_failed_write_leaves_neither_file_nor_temporary(tmp_path: Path) -> None:
    write_json(folder_at(tmp_path), "x.json", {"old": 1})
    with pytest.raises(FileNotFoundError), atomic_file(tmp_path / "x.json") as temporary:
        shutil.copy(tmp_path / "missing", temporary)
    assert json.loads((tmp_path / "x.json").read_text()) == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_a_writer_killed_before_its_rename_leaves_no_visible_file(tmp_path: Path) -> None:
    script = f"""
import os, signal
from pathlib import Path
from storage.folders.files import atomic_file
with atomic_file(Path({str(tmp_path)!r}) / "shard.parquet") as temporary:
    temporary.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [p for p in tmp_path.iterdir() if not p.name.startswith(".")] == []


def test_a_folder_has_one_builder_and_its_lock_dies_with_it(tmp_path: Path) -> None:
    folder = folder_at(tmp_path / "d")
    with folder.lock(), pytest.raises(BusyError, match="another build"), folder.lock():
        pass
    script = f"from storage.folders.open import folder_at; folder_at({str(folder)!r}).lock().__enter__()"
    subprocess.run([sys.executable, "-c", f"{script}; import os; os._exit(9)"], check=False)
    with folder.lock():
        pass
