"""Files of object stores on this machine: fetched once, whole, within a number of bytes, and never from under a reader."""

from __future__ import annotations

import hashlib
import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from storage.common.prefetch import ordered_map
from storage.folders.cache import RemoteFile, cache_folder, cached_copy, find_remote
from storage.folders.folder import StoreError
from storage.folders.open import folder_at

HOLD = """
import sys
from storage.folders.cache import find_remote, cached_copy
for url in sys.argv[1:]:
    with cached_copy(find_remote(url)) as path:
        assert len(path.read_bytes()) == 100_000
        print(path, flush=True)
"""


@pytest.fixture
def put(bucket: str) -> Callable[..., RemoteFile]:
    def write(name: str, data: bytes = bytes(100_000)) -> RemoteFile:
        folder_at(bucket).write(name, data)
        return find_remote(f"{bucket}/{name}")

    return write


Put = Callable[..., RemoteFile]


def names() -> list[str]:
    """What the cache holds, by the names of the objects."""
    return sorted(path.name.partition("-")[2] for path in (cache_folder() / "files").iterdir())


def use(file: RemoteFile, tick: int) -> None:
    """Take a file, and say that it was used at `tick`."""
    with cached_copy(file) as path:
        os.utime(path, (tick, tick))


def test_a_file_is_fetched_once_and_again_when_it_has_changed(s3: Any, put: Put) -> None:
    file = put("a.mp4", b"one")
    for _ in range(3):
        with cached_copy(file) as path:
            assert path.read_bytes() == b"one"
            assert path.name.endswith("-a.mp4")
    assert sum(method == "GET" for method, _ in s3.seen) == 1
    changed = put("a.mp4", b"two")
    with cached_copy(changed) as path:
        assert path.read_bytes() == b"two"


def test_a_large_file_comes_in_pieces(s3: Any, put: Put) -> None:
    data = os.urandom(40_000_000)
    file, gets = put("a.mp4", data), itertools.count(1)
    s3.fault = lambda method, _path: "half" if method == "GET" and next(gets) == 2 else None
    with cached_copy(file) as path:
        assert path.read_bytes() == data
    assert sum(method == "GET" for method, _ in s3.seen) == 4


def test_what_was_used_longest_ago_makes_room(monkeypatch: pytest.MonkeyPatch, put: Put) -> None:
    monkeypatch.setenv("STVG_CACHE_GB", str(350_000 / 1e9))
    files = {name: put(name) for name in "abcde"}
    for tick, name in enumerate("abca", start=1):
        use(files[name], tick)
    use(files["d"], 5)
    assert names() == ["a", "c", "d"]
    use(files["e"], 6)
    assert names() == ["a", "d", "e"]


def test_a_file_in_use_stays_and_so_does_what_is_larger_than_the_cache(monkeypatch: pytest.MonkeyPatch, put: Put) -> None:
    monkeypatch.setenv("STVG_CACHE_GB", str(150_000 / 1e9))
    with cached_copy(put("a")) as first, cached_copy(put("b")) as second, cached_copy(put("large", bytes(400_000))):
        assert names() == ["a", "b", "large"]
        assert first.exists()
        assert second.exists()
    with cached_copy(put("c")):
        assert names() == ["c"]


def test_one_that_is_gone_or_another_by_now_is_told_and_nothing_is_kept(bucket: str, put: Put) -> None:
    old = put("a.mp4", b"one")
    put("a.mp4", b"two!")
    with pytest.raises(StoreError, match=r"a\.mp4 has changed since it was first read"), cached_copy(old):
        pass
    for gone in (RemoteFile(f"{bucket}/none.mp4"), RemoteFile(f"{bucket}/none.mp4", 3, 1, '"v"')):
        with pytest.raises(FileNotFoundError, match=r"no such object: 's3://.*/none\.mp4'"), cached_copy(gone):
            pass
    assert names() == []
    assert find_remote(f"{bucket}/none.mp4").version == ""


def test_bytes_of_another_sha256_are_refused_and_right_ones_known_wherever_they_are(s3: Any, bucket: str, put: Put) -> None:
    put("x.pt", b"weights")
    put("copy.pt", b"other")
    sha256 = hashlib.sha256(b"weights").hexdigest()
    with (
        pytest.raises(StoreError, match=rf"x\.pt' has sha256 {sha256}, not {'0' * 64}"),
        cached_copy(RemoteFile(f"{bucket}/x.pt"), "0" * 64),
    ):
        pass
    assert names() == []
    for _ in range(2):
        with cached_copy(RemoteFile(f"{bucket}/x.pt"), sha256) as path:
            assert path.read_bytes() == b"weights"
    asked = len(s3.seen)
    with cached_copy(RemoteFile(f"{bucket}/x.pt"), sha256):
        assert len(s3.seen) == asked


def test_threads_that_want_one_file_wait_for_one_fetch(s3: Any, put: Put) -> None:
    file, start = put("a.mp4"), threading.Barrier(8)
    s3.seen.clear()
    s3.fault = lambda _method, _path: "slow"

    def take(_: int) -> int:
        start.wait()
        with cached_copy(file) as path:
            return len(path.read_bytes())

    assert list(ordered_map(take, range(8), 8)) == [100_000] * 8
    assert len(s3.seen) == 1


def test_processes_share_a_cache_that_is_too_small_for_them(monkeypatch: pytest.MonkeyPatch, put: Put) -> None:
    """Each takes all files in another order, while there is room for two: all read whole files, and the bound holds."""
    monkeypatch.setenv("STVG_CACHE_GB", str(250_000 / 1e9))
    urls = [put(f"{n}.mp4").url for n in range(6)]
    orders = [urls, urls[::-1], [*urls[3:], *urls[:3]]]
    running = [subprocess.Popen([sys.executable, "-c", HOLD, *order], stdout=subprocess.PIPE) for order in orders]
    assert [len(child.communicate()[0].splitlines()) for child in running] == [6, 6, 6]
    assert [child.returncode for child in running] == [0, 0, 0]
    use(find_remote(urls[0]), 1)
    assert sum(path.stat().st_size for path in (cache_folder() / "files").iterdir()) <= 300_000


def test_what_a_killed_fetch_left_makes_room_and_is_never_taken_for_the_file(
    s3: Any, monkeypatch: pytest.MonkeyPatch, put: Put
) -> None:
    file, started = put("a.mp4"), threading.Event()

    def kill(method: str, _path: str) -> None:
        if method == "GET":
            started.wait()
            os.kill(child.pid, signal.SIGKILL)

    s3.fault = kill
    child = subprocess.Popen([sys.executable, "-c", HOLD, file.url])
    started.set()
    assert child.wait() == -signal.SIGKILL
    [left] = (cache_folder() / "files").iterdir()
    assert left.suffix == ".tmp"
    left.write_bytes(bytes(80_000))
    s3.fault = lambda _method, _path: None
    monkeypatch.setenv("STVG_CACHE_GB", str(150_000 / 1e9))
    with cached_copy(file) as path:
        assert list(path.parent.iterdir()) == [path]


def test_a_name_of_any_kind_is_one_file_in_the_cache(put: Put) -> None:
    for name in ("a/b c.mp4", "ü" * 200 + ".mp4", ".hidden"):
        with cached_copy(put(name, b"1")) as path:
            assert path.parent == cache_folder() / "files"
            assert path.name.endswith(name[-8:].rpartition("/")[2])
