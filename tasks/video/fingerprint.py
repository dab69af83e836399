"""Fingerprints of sources: a cheap stat, and a hash of the content."""

from __future__ import annotations

import hashlib
from pathlib import Path

from storage.folders.cache import RemoteFile, cached_copy
from storage.folders.files import sha256_of
from storage.folders.folder import StoreError

MISSING = "missing"
"""Content hash of a source that is not there."""


UNREAD = "unread"
"""Content hash of a source in an object store that could not be read."""


def quick_stat(path: Path | RemoteFile) -> list[int]:
    """[size in bytes, modification time in ns] of a file; summed and newest over a folder's files; empty if missing."""
    if isinstance(path, RemoteFile):
        return [path.size, path.modified_ns] if path.version else []
    try:
        files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
        stats = [p.stat() for p in files]
    except OSError:
        return []
    return [sum(s.st_size for s in stats), max((s.st_mtime_ns for s in stats), default=0)]


def content_hash(path: Path | RemoteFile) -> str:
    """Hex sha256 of a file's bytes, of names and bytes of a folder's files, or `MISSING`, or `UNREAD`."""
    if isinstance(path, RemoteFile):
        return _remote_hash(path)
    if path.is_dir():
        total = hashlib.sha256()
        for file in sorted(p for p in path.iterdir() if p.is_file()):
            total.update(f"{file.name} {sha256_of(file)}\n".encode())
        return total.hexdigest()
    return sha256_of(path) if path.is_file() else MISSING


def _remote_hash(file: RemoteFile) -> str:
    try:
        with cached_copy(file) as path:
            return sha256_of(path)
    except FileNotFoundError:
        return MISSING
    except StoreError:
        return UNREAD
