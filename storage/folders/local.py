"""Folder on the local disk."""

from __future__ import annotations

import fcntl
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from storage.folders.files import atomic_file, disk_errors, file_lock, open_lock, sha256_of
from storage.folders.folder import ConflictError, FileInfo

if TYPE_CHECKING:
    import pyarrow.parquet as pq


@dataclass(frozen=True)
class LocalFolder:
    """A `storage.folders.folder.Folder` on disk; files are written next to their target and renamed to it."""

    path: Path
    concurrency: int = 1

    def __str__(self) -> str:
        return str(self.path)

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.path.name or self.path.resolve().name

    def child(self, name: str) -> LocalFolder:
        """Subfolder of this name."""
        return LocalFolder(self.path / name)

    def names(self, pattern: str) -> list[str]:
        """Sorted names of direct files that match a pattern."""
        names = (path.name for path in self.path.glob(pattern) if path.is_file())
        return sorted(name for name in names if pattern[0] == "." or name[0] != ".")

    def files(self) -> Iterator[FileInfo]:
        """Files at any depth, sorted by name."""
        for path in sorted(self.path.rglob("*")):
            if path.is_file():
                stat = path.stat()
                name = path.relative_to(self.path).as_posix()
                yield FileInfo(name, stat.st_size, stat.st_mtime_ns, f"{stat.st_mtime_ns}-{stat.st_ino}")

    def read(self, name: str) -> bytes:
        """Content of a file."""
        return (self.path / name).read_bytes()

    def parquet(self, name: str) -> pq.ParquetFile:
        """Open a Parquet file, memory-mapped and without read-ahead, which costs more than it saves here."""
        import pyarrow.parquet as pq

        return pq.ParquetFile(self.path / name, memory_map=True, pre_buffer=False, page_checksum_verification=True)

    def write(self, name: str, data: bytes, durable: bool = True) -> None:
        """Write a file atomically.

        Args:
            name: file name below the folder; `/` separates folders.
            data: content of the file.
            durable: whether the file is synced to disk before it becomes visible.
        """
        with self.writing(name, durable) as temporary:
            temporary.write_bytes(data)

    def writing(self, name: str, durable: bool = True) -> AbstractContextManager[Path]:
        """Yield a temporary path next to the file; it is renamed to the file at the end.

        Args:
            name: file name below the folder; `/` separates folders.
            durable: whether the file is synced to disk before it becomes visible.
        """
        return atomic_file(self.path / name, durable)

    def version(self, name: str) -> str | None:
        """Sha256 of the content of a file."""
        path = self.path / name
        return sha256_of(path) if path.exists() else None

    def swap(self, name: str, data: bytes, expected: str | None) -> None:
        """Compare and replace under a lock that is held for this call only.

        Args:
            name: file name below the folder; `/` separates folders.
            data: content of the file.
            expected: version of the file that was read before; None for an absent file.
        """
        with open_lock(self.path / f".{name}.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self.version(name) != expected:
                raise ConflictError(f"{self.path / name} has been replaced meanwhile")
            self.write(name, data)

    def remove(self, names: Iterable[str]) -> None:
        """Remove files."""
        with disk_errors(self.path):
            for name in names:
                (self.path / name).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove temporary files of writers that were killed."""
        self.remove(self.names(".*.tmp"))

    def lock(self) -> AbstractContextManager[None]:
        """Hold the folder by a lock file in it."""
        return file_lock(self.path / ".lock", str(self.path))

    def uri(self, name: str) -> str:
        """`file://` URI of a file."""
        return (self.path / name).resolve().as_uri()
