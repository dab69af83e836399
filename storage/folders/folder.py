"""What a folder is whose files are whole or absent, wherever it is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

import pyarrow.parquet as pq

from storage.common.errors import TransientError


class StoreError(TransientError):
    """A folder that cannot be reached, or not be used; the message names it and says why."""


class ConflictError(TransientError):
    """A file is no longer the version that was read: somebody else has replaced it."""


class FileInfo(NamedTuple):
    """A file as a listing tells of it: its path below the folder, bytes, modification time in ns, and version."""

    name: str
    size: int
    modified_ns: int
    version: str


class Folder(Protocol):
    """Where files are kept. Picklable; `str` gives its path or URL. Every method may raise `StoreError`."""

    @property
    def name(self) -> str:
        """Last part of its path."""
        ...

    @property
    def concurrency(self) -> int:
        """How many small requests are worth making at a time."""
        ...

    def child(self, name: str) -> Folder:
        """The folder of this name in it, there or not."""
        ...

    def names(self, pattern: str) -> list[str]:
        """Names of its own files that match a pattern, sorted; hidden files only if the pattern says so."""
        ...

    def files(self) -> Iterator[FileInfo]:
        """Its files at any depth, sorted by name, hidden ones too."""
        ...

    def read(self, name: str) -> bytes:
        """A file's bytes.

        Raises:
            FileNotFoundError: there is no such file.
        """
        ...

    def parquet(self, name: str) -> pq.ParquetFile:
        """A Parquet file opened for reads here and there.

        Raises:
            FileNotFoundError: there is no such file.
        """
        ...

    def write(self, name: str, data: bytes, durable: bool = True) -> None:
        """Write a file, whole or not at all; `durable` syncs it to disk first, where that is not the store's own business.

        Args:
            name: file name below the folder; `/` separates folders.
            data: content of the file.
            durable: whether the file is synced to disk before it becomes visible.
        """
        ...

    def writing(self, name: str, durable: bool = True) -> AbstractContextManager[Path]:
        """A local path to write to, which becomes the file if the body succeeds.

        Args:
            name: file name below the folder; `/` separates folders.
            durable: whether the file is synced to disk before it becomes visible.
        """
        ...

    def version(self, name: str) -> str | None:
        """What changes whenever a file's bytes do; None without the file."""
        ...

    def swap(self, name: str, data: bytes, expected: str | None) -> None:
        """Write a file only if its version is still `expected`; None: only if it is still absent.

        Args:
            name: file name below the folder; `/` separates folders.
            data: content of the file.
            expected: version of the file that was read before; None for an absent file.

        Raises:
            ConflictError: it is another one.
        """
        ...

    def remove(self, names: Iterable[str]) -> None:
        """Remove files, in this order; one that is gone already is no error."""
        ...

    def sweep(self) -> None:
        """Remove what writers that were killed have left among its own files."""
        ...

    def lock(self) -> AbstractContextManager[None]:
        """Hold the folder against other processes of this machine.

        Raises:
            BusyError: another one holds it.
        """
        ...

    def uri(self, name: str) -> str:
        """A URI of a file, for a person to follow."""
        ...


Where = str | Path | Folder
"""A folder by its path or URL, or itself."""
