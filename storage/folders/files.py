"""Atomic files: written next to their target, synced, then renamed to it."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from storage.common.errors import InputError
from storage.folders.folder import StoreError

_DISK_FAULTS = {
    errno.ENOSPC: "no space is left on the disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is larger than this process may write",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "this user may not write there",
    errno.EPERM: "this user may not write there",
}


def disk_fault(error: BaseException) -> str:
    """Sentence on an error of a disk that is full, read-only or closed to this user; empty for any other error."""
    if not isinstance(error, OSError) or error.errno not in _DISK_FAULTS:
        return ""
    place = f"'{error.filename}' cannot be used" if error.filename else "a file cannot be written"
    return f"{place}: {_DISK_FAULTS[error.errno]}"


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Convert errors of a full, read-only or closed disk.

    Args:
        path: file or folder that is written, for the message.

    Raises:
        StoreError: the disk is full or read-only, or this user may not write there.
    """
    try:
        yield
    except OSError as error:
        if not disk_fault(error):
            raise
        raise StoreError(
            f"'{path}' cannot be written: {_DISK_FAULTS[error.errno or 0]}; mend that or choose another folder, and run the "
            "same command again: it goes on where it stopped"
        ) from error


@contextmanager
def atomic_file(path: Path, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path next to `path`; it is renamed to `path` if the body succeeds, and removed otherwise.

    Args:
        path: target path; its folder is created.
        durable: whether file and folder are synced to disk first; without it a power failure can leave a truncated file.

    Raises:
        StoreError: the disk is full or read-only, or this user may not write there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
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
    """Yield a temporary folder next to `path`; it is renamed to `path` if the body succeeds, and removed otherwise.

    Raises:
        OSError: `path` is a folder that is not empty.
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
    """Another process uses the same folder."""


def open_lock(lock_file: Path) -> TextIO:
    """Open a lock file, which is made with its folder if it does not exist.

    Raises:
        StoreError: the disk is full or read-only, or this user may not write there.
    """
    with disk_errors(lock_file.parent):
        lock_file.parent.mkdir(parents=True, exist_ok=True)
        return lock_file.open("w")


@contextmanager
def file_lock(lock_file: Path, what: str) -> Iterator[None]:
    """Hold an exclusive lock file for the duration of the block; the lock ends with its process.

    Args:
        lock_file: path of the lock file; created if absent.
        what: name of the locked resource, for the error message.

    Raises:
        BusyError: another process of this machine holds the lock.
        StoreError: the disk is full or read-only, or this user may not write there.
    """
    with open_lock(lock_file) as lock:
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
    """Hex sha256 of the content of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash8(value: Any) -> str:
    """First 8 hex digits of the sha256 of a JSON value with sorted keys."""
    return json_digest(value)[:8]


def json_digest(value: Any) -> str:
    """Hex sha256 of a JSON value with sorted keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
