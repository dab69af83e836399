"""Local cache of objects from object stores, bounded in bytes and shared by all processes of this machine.

`STVG_CACHE` sets the folder (default `~/.cache/stvg`), `STVG_CACHE_GB` the limit (default 50). The least recently used files
are removed first.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from storage.common.environment import variable
from storage.common.prefetch import ordered_map
from storage.folders.bucket import find_object, read_range
from storage.folders.files import json_digest, open_lock
from storage.folders.folder import StoreError

_PIECE, _PIECES = 16 << 20, 4
"""Bytes per request of a download."""


@dataclass(frozen=True)
class RemoteFile:
    """An object as listed: URL, size in bytes, modification time in ns, and version, which is empty if it does not exist."""

    url: str
    size: int = 0
    modified_ns: int = 0
    version: str = ""

    @property
    def name(self) -> str:
        """Last part of the URL."""
        return self.url.rpartition("/")[2]

    def __str__(self) -> str:
        return self.url


def find_remote(url: str) -> RemoteFile:
    """Look up an object.

    Raises:
        StoreError: the store cannot be used.
    """
    remote = find_object(url)
    return RemoteFile(url, remote.size, remote.modified_ns, remote.version) if remote else RemoteFile(url)


def cache_folder() -> Path:
    """Folder of the cache on this machine."""
    return Path(variable("STVG_CACHE") or Path.home() / ".cache" / "stvg")


def _limit_bytes() -> int:
    return int(float(variable("STVG_CACHE_GB")) * 1e9)


@contextmanager
def cached_copy(file: RemoteFile, sha256: str | None = None) -> Iterator[Path]:
    """Local copy of an object, which is not removed during the block.

    Args:
        file: the object, in the version to read.
        sha256: required hash of the content; the copy is then identified by it, whatever the version.

    Raises:
        FileNotFoundError: there is no such object.
        StoreError: the object cannot be read, has another version by now, or another sha256.
    """
    known = sha256 or json_digest([file.url, file.size, file.version])
    path = cache_folder() / "files" / f"{known[:20]}-{file.name[-50:]}"
    with _copy(path, file, sha256):
        yield path


def _copy(path: Path, file: RemoteFile, sha256: str | None) -> BinaryIO:
    """Open the copy under a shared lock, fetching it if it is missing.

    A process that fetches holds one of 256 locks, chosen by name, so that a file is fetched once. Files in use or being written
    are locked by their users, and only files that can be locked exclusively are removed.

    Whoever fetches holds one of 256 locks, by name, so that a file is fetched once. A file in use or being written is locked
    by those who do, and whoever makes room removes only what can be locked alone.
    """
    while (copy := _in_use(path)) is None:
        with cache_lock(path.name[:2]):
            if not path.exists():
                _fetch(path, file, sha256)
    return copy


def _in_use(path: Path) -> BinaryIO | None:
    try:
        copy = path.open("rb")
    except FileNotFoundError:
        return None
    fcntl.flock(copy, fcntl.LOCK_SH)
    if not _is_at(copy, path):  # removed before it was locked
        copy.close()
        return None
    os.utime(path)
    return copy


def _is_at(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


@contextmanager
def cache_lock(name: str) -> Iterator[None]:
    """Hold a lock of the cache, which one process at a time has.

    Args:
        name: Name of the lock, a file name.
    """
    with open_lock(cache_folder() / "locks" / name) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(path: Path, file: RemoteFile, sha256: str | None) -> None:
    if sha256 and not file.version:
        file = find_remote(file.url)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with cache_lock("room"):
            _make_room(path.parent, file.size)
            writing = temporary.open("wb")
            fcntl.flock(writing, fcntl.LOCK_SH)
        with writing:
            _download(file, writing, sha256)
            os.fsync(writing.fileno())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _make_room(folder: Path, size: int) -> None:
    """Remove files, least recently used first, until `size` more bytes fit; this includes the remains of killed writers."""
    stats = sorted((stat.st_mtime_ns, stat.st_size, path) for path in folder.iterdir() if (stat := _stat(path)))
    excess = sum(size_bytes for _, size_bytes, _ in stats) + size - _limit_bytes()
    for _, size_bytes, path in stats:
        if excess > 0 and _removed(path):
            excess -= size_bytes


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _removed(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(file, path):
                path.unlink()
            return True
    except (BlockingIOError, FileNotFoundError):
        return False


def _download(file: RemoteFile, copy: IO[bytes], sha256: str | None) -> None:
    if not file.version:
        raise FileNotFoundError(f"no such object: '{file.url}'")

    def piece(start: int) -> bytes:
        return read_range(file.url, start, min(start + _PIECE, file.size), file.version)

    total = hashlib.sha256()
    for data in ordered_map(piece, range(0, file.size, _PIECE), _PIECES):
        copy.write(data)
        total.update(data)
    copy.flush()
    if sha256 is not None and total.hexdigest() != sha256:
        raise StoreError(f"'{file.url}' has sha256 {total.hexdigest()}, not {sha256} as requested: it is not used")
