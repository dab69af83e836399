"""Folder below a prefix of an S3 bucket. An object becomes visible when its upload is complete, so writes are atomic."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from storage.folders.bucket import ObjectReader, file_info, find_object, run_request, store_and_key
from storage.folders.files import file_lock, json_digest
from storage.folders.folder import ConflictError, FileInfo

if TYPE_CHECKING:
    from obstore import PutMode
    from obstore.store import S3Store

_MANY = 500
"""Objects per delete request; S3 allows 1000."""


@dataclass(frozen=True)
class ObjectFolder:
    """A `storage.folders.folder.Folder` below an `s3://` URL."""

    url: str
    concurrency: int = 16

    def __str__(self) -> str:
        return self.url.rstrip("/")

    @property
    def name(self) -> str:
        """Last part of the URL."""
        return str(self).rpartition("/")[2]

    def child(self, name: str) -> ObjectFolder:
        """Subfolder of this name."""
        return ObjectFolder(f"{self}/{name}")

    def names(self, pattern: str) -> list[str]:
        """Sorted names of direct files that match a pattern."""
        import obstore

        store, prefix = store_and_key(str(self))
        objects = run_request(str(self), lambda: obstore.list_with_delimiter(store, prefix)["objects"])
        names = (meta["path"].rpartition("/")[2] for meta in objects)
        return sorted(n for n in names if fnmatchcase(n, pattern) and (pattern[0] == "." or n[0] != "."))

    def files(self) -> Iterator[FileInfo]:
        """Files at any depth, sorted by name."""
        import obstore

        store, prefix = store_and_key(str(self))
        objects = run_request(str(self), lambda: obstore.list(store, prefix).collect())
        for meta in sorted(objects, key=lambda meta: meta["path"]):
            yield file_info(meta, meta["path"][len(prefix) :].lstrip("/"))

    def read(self, name: str) -> bytes:
        """Content of an object."""
        import obstore

        store, key = self._at(name)
        return run_request(f"{self}/{name}", lambda: bytes(obstore.get(store, key).bytes()))

    def parquet(self, name: str) -> pq.ParquetFile:
        """Open a Parquet file that is read by ranges; the columns of a row group are requested together."""
        return pq.ParquetFile(ObjectReader(f"{self}/{name}"), pre_buffer=True, page_checksum_verification=True)

    def write(self, name: str, data: bytes, durable: bool = True) -> None:
        """Upload an object.

        Args:
            name: file name below the folder; `/` separates folders.
            data: content of the file.
            durable: whether the file is synced to disk before it becomes visible.
        """
        import obstore

        store, key = self._at(name)
        run_request(f"{self}/{name}", lambda: obstore.put(store, key, data))

    @contextmanager
    def writing(self, name: str, durable: bool = True) -> Iterator[Path]:
        """Yield a temporary local file, which is uploaded at the end, in parts if it is large.

        Args:
            name: file name below the folder; `/` separates folders.
            durable: whether the file is synced to disk before it becomes visible.
        """
        import obstore

        store, key = self._at(name)
        with tempfile.TemporaryDirectory(prefix="stvg-upload-") as folder:
            path = Path(folder) / "file"
            yield path
            run_request(f"{self}/{name}", lambda: obstore.put(store, key, path))

    def version(self, name: str) -> str | None:
        """ETag of an object; None if it does not exist."""
        remote = find_object(f"{self}/{name}")
        return remote.version if remote else None

    def swap(self, name: str, data: bytes, expected: str | None) -> None:
        """Conditional create (If-None-Match) or replace (If-Match), which the store decides.

        If a response is lost, the retry may conflict with the first attempt's own write: on a conflict, the caller should read
        the file.

        Args:
            name: file name below the folder; `/` separates folders.
            data: content of the file.
            expected: version of the file that was read before; None for an absent file.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        store, key = self._at(name)
        mode: PutMode = {"e_tag": expected} if expected else "create"

        def put() -> bool:
            try:
                obstore.put(store, key, data, mode=mode, use_multipart=False)
            except (AlreadyExistsError, PreconditionError):
                return False
            return True

        if not run_request(f"{self}/{name}", put):
            raise ConflictError(f"{self}/{name} has been replaced meanwhile")

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects."""
        import obstore

        store, keys = store_and_key(str(self))[0], [self._at(name)[1] for name in names]
        for start in range(0, len(keys), _MANY):
            batch = keys[start : start + _MANY]
            run_request(str(self), partial(obstore.delete, store, batch))

    def sweep(self) -> None:
        """Do nothing: an interrupted upload leaves no visible object."""

    def lock(self) -> AbstractContextManager[None]:
        """Hold the folder against builds of this machine; builds of other machines are detected by `swap` of the manifest."""
        from storage.folders.cache import cache_folder

        return file_lock(cache_folder() / "locks" / f"{json_digest(str(self))[:20]}.lock", str(self))

    def uri(self, name: str) -> str:
        """`s3://` URL of an object."""
        return f"{self}/{name}"

    def _at(self, name: str) -> tuple[S3Store, str]:
        return store_and_key(f"{self}/{name}")
