"""Files that are whole or absent: written beside their place, synced, then renamed into it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from storage.common.errors import InputError


@contextmanager
def atomic_file(path: Path, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it there if the body succeeds, remove it if not.

    Args:
        path: the final path; its folder is made.
        durable: sync file and folder to disk first. Without it a power cut, but no kill, can leave a torn file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        if durable:
            _sync(temporary)
        temporary.replace(path)
        if durable:
            _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; rename it there if the body succeeds, remove it if not.

    Raises:
        OSError: `path` is a folder that holds something.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    temporary.mkdir()
    try:
        yield temporary
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class BusyError(InputError):
    """Another process is at work on the same folder."""


@contextmanager
def file_lock(lock_file: Path, what: str) -> Iterator[None]:
    """Hold `what` by a lock file for the length of the block; the lock dies with its process.

    Args:
        lock_file: path of the lock file; created if absent.
        what: subject of the lock, for the error message.

    Raises:
        BusyError: another process on this machine holds it.
    """
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(f"another build is at work on '{what}': wait for it or cancel it") from None
        yield


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash8(value: Any) -> str:
    """First 8 hex digits of the sha256 of a JSON value with sorted keys."""
    return json_digest(value)[:8]


def json_digest(value: Any) -> str:
    """Hex sha256 of a JSON value with sorted keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
