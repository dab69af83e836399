"""One contract for folders on disk and in an object store."""

from __future__ import annotations

import errno
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.common.prefetch import ordered_map
from storage.folders.files import BusyError, atomic_file
from storage.folders.folder import ConflictError, Folder, StoreError
from storage.folders.local import LocalFolder
from storage.folders.objects import ObjectFolder
from storage.folders.open import folder_at

NAMES = ["a b.mp4", "100%.mp4", "a+b=c&d.mp4", "ünï.mp4", "#1?.mp4", "%41.mp4", "'quoted'.mp4"]


@pytest.fixture(params=["disk", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    where = tmp_path / "data" if request.param == "disk" else request.getfixturevalue("bucket") + "/data"
    return folder_at(where).child("set")


def test_files_are_written_listed_read_and_removed(folder: Folder) -> None:
    assert folder.names("*") == []
    assert list(folder.files()) == []
    folder.write("shard-2.json", b"22")
    folder.write("shard-1.json", b"1")
    folder.write("other.txt", b"")
    folder.child("parts").write("part-1.json", b"333")
    assert folder.names("shard-*.json") == ["shard-1.json", "shard-2.json"]
    assert folder.read("shard-2.json") == b"22"
    assert [(f.name, f.size) for f in folder.files()] == [
        ("other.txt", 0),
        ("parts/part-1.json", 3),
        ("shard-1.json", 1),
        ("shard-2.json", 2),
    ]
    folder.remove(["shard-1.json", "never-there.json", "other.txt"])
    assert folder.names("*") == ["shard-2.json"]
    assert (folder.name, folder.child("parts").name) == ("set", "parts")
    assert str(folder.child("parts")) == f"{folder}/parts"


def test_a_listing_tells_versions_apart(folder: Folder) -> None:
    folder.write("a", b"1")
    [first] = folder.files()
    folder.write("a", b"2")
    [second] = folder.files()
    assert first.version != second.version
    assert second.modified_ns >= first.modified_ns > 1_500_000_000 * 10**9


def test_a_folder_is_not_the_one_whose_name_begins_alike(folder: Folder) -> None:
    folder_at(f"{folder}-2").write("a", b"")
    assert list(folder.files()) == []


@pytest.mark.parametrize("name", NAMES)
def test_names_are_kept_as_they_are(folder: Folder, name: str) -> None:
    folder.write(name, name.encode())
    assert folder.names("*") == [name]
    assert [f.name for f in folder.files()] == [name]
    assert folder.read(name) == name.encode()
    folder.remove([name])
    assert folder.names("*") == []


def test_what_is_not_there_is_told_as_such(folder: Folder) -> None:
    for ask in (folder.read, folder.parquet):
        with pytest.raises(FileNotFoundError, match=r"none\.parquet"):
            ask("none.parquet")
    assert folder.version("none.parquet") is None


def test_a_file_appears_when_its_writer_has_ended_well(folder: Folder) -> None:
    with folder.writing("a.bin") as path:
        path.write_bytes(b"x" * 9_000_000)
        assert folder.names("*") == []
    assert len(folder.read("a.bin")) == 9_000_000

    def fail() -> None:
        with folder.writing("a.bin") as path:
            path.write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert len(folder.read("a.bin")) == 9_000_000
    assert [f.name for f in folder.files()] == ["a.bin"]


def test_row_groups_are_read_one_by_one(folder: Folder) -> None:
    groups = [pa.table({"n": list(range(k, k + 50_000)), "text": [f"{k}-{i}" for i in range(50_000)]}) for k in range(8)]
    with folder.writing("t.parquet") as path, pq.ParquetWriter(path, groups[0].schema, compression="none") as writer:
        for group in groups:
            writer.write_table(group)
    with folder.parquet("t.parquet") as file:
        assert file.metadata.num_row_groups == 8
        assert file.read_row_group(5).equals(groups[5])
        assert file.read_row_group(0, ["n"]).column("n")[3].as_py() == 3
        assert file.read().num_rows == 400_000


def test_a_swap_creates_only_what_is_absent_and_replaces_only_what_was_seen(folder: Folder) -> None:
    folder.swap("manifest.json", b"1", None)
    with pytest.raises(ConflictError, match=r"set/manifest\.json has been replaced meanwhile"):
        folder.swap("manifest.json", b"2", None)
    first = folder.version("manifest.json")
    folder.swap("manifest.json", b"3", first)
    with pytest.raises(ConflictError):
        folder.swap("manifest.json", b"4", first)
    assert folder.read("manifest.json") == b"3"
    seen = folder.version("manifest.json")
    folder.remove(["manifest.json"])
    with pytest.raises(ConflictError):
        folder.swap("manifest.json", b"5", seen)
    assert folder.version("manifest.json") is None


@pytest.mark.parametrize("there", [False, True])
def test_of_many_who_swap_at_once_one_wins(folder: Folder, there: bool) -> None:
    if there:
        folder.write("m", b"old")
    seen, start = folder.version("m"), threading.Barrier(8)

    def swap(number: int) -> int | None:
        start.wait()
        try:
            folder.swap("m", str(number).encode(), seen)
        except ConflictError:
            return None
        return number

    winners = [won for won in ordered_map(swap, range(8), 8) if won is not None]
    assert [str(won).encode() for won in winners] == [folder.read("m")]


def test_a_folder_travels_without_what_opens_it(folder: Folder) -> None:
    folder.write("a", b"1")
    pickled = pickle.dumps(folder)
    assert b"secret-of-the-test" not in pickled
    assert pickle.loads(pickled).read("a") == b"1"


def test_one_process_of_a_machine_holds_a_folder(folder: Folder) -> None:
    with folder.lock(), folder.child("other").lock(), pytest.raises(BusyError, match="another build is at work"):
        folder.lock().__enter__()
    with folder.lock():
        pass


def test_a_link_leads_to_a_file(folder: Folder) -> None:
    assert folder.uri("preview.html").endswith("/data/set/preview.html")
    assert folder.uri("preview.html").startswith(("file:///", "s3://test-"))


def test_folders_are_named_by_path_or_url(tmp_path: Path) -> None:
    assert folder_at("s3://bucket/a/b/") == ObjectFolder("s3://bucket/a/b/")
    assert (str(folder_at("s3://bucket/a/b/")), folder_at("s3://bucket").name) == ("s3://bucket/a/b", "bucket")
    assert folder_at(str(tmp_path)) == folder_at(tmp_path) == folder_at(folder_at(tmp_path))
    with pytest.raises(StoreError, match=r"'gs://bucket/a' cannot be used: give a path, or a URL such as s3://bucket/folder"):
        folder_at("gs://bucket/a")
    with pytest.raises(StoreError, match="'s3://' cannot be used"):
        folder_at("s3://")


def test_results_come_in_order_from_a_few_threads_that_do_not_run_ahead() -> None:
    started: list[int] = []
    go = threading.Event()

    def work(n: int) -> int:
        started.append(n)
        if n < 3:
            go.wait()
        return n * n

    def items() -> Iterator[int]:
        for n in range(10):
            if n == 3:
                go.set()
            yield n

    results = ordered_map(work, items(), 4)
    assert next(results) == 0
    assert max(started) <= 3
    assert list(results) == [n * n for n in range(1, 10)]


def test_a_full_or_forbidden_disk_is_one_sentence(tmp_path: Path) -> None:
    def parquet_to(_path: Path) -> None:
        with pq.ParquetWriter("/dev/full", pa.schema([("a", pa.int64())])) as writer:
            writer.write_table(pa.table({"a": list(range(100_000))}))

    def bytes_to(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    for write in (parquet_to, bytes_to):
        full = pytest.raises(StoreError, match=r"a\.bin' cannot be written: no space is left on the disk")
        with full, atomic_file(tmp_path / "a.bin") as temporary:
            write(temporary)
    forbidden = pytest.raises(StoreError, match="'/sys/sets' cannot be written: this user may not write there")
    with forbidden, LocalFolder(Path("/sys/sets")).lock():
        raise AssertionError("nobody may write there")
    with pytest.raises(FileNotFoundError), atomic_file(tmp_path / "b.bin"):
        pass
