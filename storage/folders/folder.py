"""Protocol of a folder with atomic writes, on disk or in an object store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from storage.common.errors import TransientError

if TYPE_CHECKING:
    import pyarrow.parquet as pq


class StoreError(TransientError):
    """A folder that cannot be reached or used; the message names it and the reason."""


class ConflictError(TransientError):
    """A file was replaced by another process since it was read."""


class FileInfo(NamedTuple):
    """A file in a listing: path below the folder, size in bytes, modification time in ns, and version."""

    name: str
    size: int
    modified_ns: int
    version: str


class Folder(Protocol):
    """A folder of files. Implementations are picklable; `str` gives the path or URL. Every method may raise `StoreError`."""

    @property
    def name(self) -> str:
        """Last part of the path."""
        ...

    @property
    def concurrency(self) -> int:
        """Useful number of concurrent small requests."""
        ...

    def child(self, name: str) -> Folder:
        """Subfolder of this name, whether or not it exists."""
        ...

    def names(self, pattern: str) -> list[str]:
        """Sorted names of direct files that match a pattern; hidden files only if the pattern starts with a dot."""
        ...

    def files(self) -> Iterator[FileInfo]:
        """Files at any depth, sorted by name, hidden ones included."""
        ...

    def read(self, name: str) -> bytes:
        """Content of a file.

        Raises:
            FileNotFoundError: the file does not exist.
        """
        ...

    def parquet(self, name: str) -> pq.ParquetFile:
        """Open a Parquet file for random access.

        Raises:
            FileNotFoundError: the file does not exist.
        """
        ...

    def write(self, name: str, data: bytes, durable: bool = True) -> None:
        """Write a file atomically.

        Args:
            name: file name below the folder; `/` separates folders.
            data: content of the file.
            durable: whether the file is synced to disk before it becomes visible; object stores ignore it.
        """
        ...

    def writing(self, name: str, durable: bool = True) -> AbstractContextManager[Path]:
        """Yield a local path to write to; it becomes the file if the body succeeds.

        Args:
            name: file name below the folder; `/` separates folders.
            durable: whether the file is synced to disk before it becomes visible.
        """
        ...

    def version(self, name: str) -> str | None:
        """Version of a file, which changes with its content; None if the file does not exist."""
        ...

    def swap(self, name: str, data: bytes, expected: str | None) -> None:
        """Write a file only if its version is still the expected one.

        Args:
            name: file name below the folder; `/` separates folders.
            data: content of the file.
            expected: version that was read before; None if the file must not exist.

        Raises:
            ConflictError: the version is another one.
        """
        ...

    def remove(self, names: Iterable[str]) -> None:
        """Remove files in this order; files that do not exist are ignored."""
        ...

    def sweep(self) -> None:
        """Remove the remains of killed writers among the direct files."""
        ...

    def lock(self) -> AbstractContextManager[None]:
        """Hold the folder against other processes of this machine.

        Raises:
            BusyError: another process holds it.
        """
        ...

    def uri(self, name: str) -> str:
        """URI of a file."""
        ...


FolderLike = str | Path | Folder
"""A folder, or its path or URL."""
