"""A folder whose files are whole or absent: on this machine, or a prefix in an object store."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import pyarrow.parquet as pq

T = TypeVar("T")
R = TypeVar("R")


class StoreError(Exception):
    """A folder that cannot be reached, or not be used; the message names it and says why."""


class ConflictError(Exception):
    """A file is no longer the version that was read: somebody else has replaced it."""


class Listed(NamedTuple):
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
    def at_once(self) -> int:
        """How many small requests are worth making at a time."""
        ...

    def child(self, name: str) -> Folder:
        """The folder of this name in it, there or not."""
        ...

    def names(self, pattern: str) -> list[str]:
        """Names of its own files that match a pattern, sorted; hidden files only if the pattern says so."""
        ...

    def files(self) -> Iterator[Listed]:
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
        """Write a file, whole or not at all; `durable` syncs it to disk first, where that is not the store's own business."""
        ...

    def writing(self, name: str, durable: bool = True) -> AbstractContextManager[Path]:
        """A local path to write to, which becomes the file if the body succeeds."""
        ...

    def version(self, name: str) -> str | None:
        """What changes whenever a file's bytes do; None without the file."""
        ...

    def swap(self, name: str, data: bytes, seen: str | None) -> None:
        """Write a file only if its version is still `seen`; None: only if it is still absent.

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

    def exclusive(self) -> AbstractContextManager[None]:
        """Hold the folder against other processes of this machine.

        Raises:
            BusyError: another one holds it.
        """
        ...

    def link(self, name: str) -> str:
        """A URI of a file, for a person to follow."""
        ...


Where = str | Path | Folder
"""A folder by its path or URL, or itself."""


def folder_at(where: Where) -> Folder:
    """The folder that a path or an `s3://` URL names.

    Raises:
        StoreError: a URL of another kind, or of no bucket.
    """
    from storage.local import LocalFolder

    if isinstance(where, Path):
        return LocalFolder(where)
    if not isinstance(where, str):
        return where
    scheme, separator, rest = where.partition("://")
    if not separator:
        return LocalFolder(Path(where))
    if scheme != "s3" or not rest.strip("/"):
        raise StoreError(f"'{where}' cannot be used: give a path, or a URL such as s3://bucket/folder")
    from storage.objects import ObjectFolder

    return ObjectFolder(where)


def named_folder(given: str, root: Where) -> Folder:
    """The folder that a person names: a URL or the path of one that is there, or else a name below `root`."""
    return folder_at(given) if is_url(given) or Path(given).is_dir() else folder_at(root).child(given)


def is_url(where: Where) -> bool:
    """Whether a folder or file is named by a URL, not by a path."""
    return "://" in str(where)


def write_json(folder: Folder, name: str, value: Any, durable: bool = True) -> None:
    """Write JSON with sorted keys, whole or not at all."""
    folder.write(name, json_bytes(value), durable)


def json_bytes(value: Any) -> bytes:
    """JSON with sorted keys, as files hold it."""
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def in_turn(function: Callable[[T], R], items: Iterable[T], at_once: int) -> Iterator[R]:
    """Results of `function` in the order of `items`, worked out by threads that are at most `at_once` items ahead."""
    if at_once == 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(at_once) as pool:
        running: deque[Future[R]] = deque()
        for item in items:
            running.append(pool.submit(function, item))
            if len(running) == at_once:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
