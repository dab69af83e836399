"""Requests to S3 buckets, with retries, and conversion of their errors.

Credentials, region and endpoint come from the environment (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL` and so on) or from the
machine's role, wherever a request is made. Only URLs are pickled or logged.
"""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from storage.common.environment import variable
from storage.folders.folder import FileInfo, StoreError

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import S3Store

T = TypeVar("T")

_RETRY_S = 120
"""Seconds for which a request is retried after transient errors: status 5xx, throttling, broken connections."""
_PAUSES_S = (0.1, 0.4, 1.6, 6.4)
"""Seconds between the attempts after a response body that broke off."""
_SILENCE_S = 30
"""Seconds without data after which a response counts as broken."""
_TAIL = 1 << 20
"""Bytes read when a Parquet file is opened: the footer of a shard, or all of a part."""


def store_and_key(url: str) -> tuple[S3Store, str]:
    """Object store of the bucket of an `s3://` URL, and the key of the object."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return _store(bucket, variable("AWS_ENDPOINT_URL")), key.strip("/")


@lru_cache
def _store(bucket: str, endpoint: str) -> S3Store:
    from obstore.store import S3Store

    return S3Store(
        bucket,
        client_options={
            "allow_http": endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=5),
            "read_timeout": timedelta(seconds=_SILENCE_S),
            "timeout": timedelta(hours=1),
        },
        retry_config={
            "max_retries": 10,
            "retry_timeout": timedelta(seconds=_RETRY_S),
            "backoff": {"base": 2, "init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=10)},
        },
    )


def run_request(what: str, request: Callable[[], T]) -> T:
    """Run a request and convert its errors; a response that broke off is requested again.

    obstore itself retries requests without a response; it does not retry a response body that breaks off.

    The library itself tries again what never came to an answer; an answer that broke off is tried again here.

    Args:
        what: path or URL that an error names.
        request: sends one request; called again after a broken response.

    Raises:
        FileNotFoundError: there is no such object.
        StoreError: any other error.
    """
    from obstore.exceptions import BaseError, PreconditionError

    for pause_s in (*_PAUSES_S, None):
        try:
            return request()
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise StoreError(f"{what} cannot be used: there is no such bucket") from None
            raise FileNotFoundError(f"no such object: '{what}'") from None
        except PreconditionError:
            raise StoreError(f"{what} has changed since it was first read: run again") from None
        except BaseError as error:
            if pause_s is None or not _broke_off(str(error)):
                raise StoreError(f"{what} cannot be used: {_reason(str(error))}") from None
            time.sleep(pause_s)
    raise AssertionError("the last try returns or raises")


def _broke_off(message: str) -> bool:
    return "response body" in message


def _reason(message: str) -> str:
    """Status and error code of a response, without its body, which may repeat what was signed and must not be logged."""
    status = re.search(r"status code: (\d{3} [A-Za-z ]+)", message)
    code = re.search(r"<Code>(\w+)</Code>", message)
    if status:
        return f"{status[1].strip()} ({code[1]})" if code else status[1].strip()
    return " ".join(message.partition("Debug source")[0].split())[:300]


def read_range(url: str, start: int, end: int, version: str) -> bytes:
    """Bytes [start, end) of an object.

    Args:
        url: `s3://` URL of the object.
        start: offset of the first byte.
        end: offset after the last byte.
        version: ETag that the object must have.

    Raises:
        FileNotFoundError: there is no such object.
        StoreError: the object has another version by now, or cannot be read.
    """
    import obstore

    store, key = store_and_key(url)
    options: GetOptions = {"range": (start, end), "if_match": version}
    return run_request(url, lambda: bytes(obstore.get(store, key, options=options).bytes()))


def find_object(url: str) -> FileInfo | None:
    """Metadata of an object, named by the last part of its key; None if it does not exist."""
    import obstore

    store, key = store_and_key(url)
    try:
        return file_info(run_request(url, lambda: obstore.head(store, key)), key.rpartition("/")[2])
    except FileNotFoundError:
        return None


def file_info(meta: Any, name: str) -> FileInfo:
    """Metadata of an object under another name."""
    return FileInfo(name, meta["size"], int(meta["last_modified"].timestamp() * 1e9), meta["e_tag"] or "")


class ObjectReader(io.RawIOBase):
    """An object as a seekable file, read by ranges of one version; its tail is read first and cached."""

    def __init__(self, url: str) -> None:
        """Read the tail of the object.

        Raises:
            FileNotFoundError: there is no such object.
            StoreError: the store cannot be used.
        """
        import obstore

        store, key = store_and_key(url)

        def end() -> tuple[Any, bytes]:
            answer = obstore.get(store, key, options={"range": {"suffix": _TAIL}})
            return answer.meta, bytes(answer.bytes())

        meta, self._tail = run_request(url, end)
        self._url, self._size, self._version = url, meta["size"], meta["e_tag"] or ""
        self._position = 0

    def readable(self) -> bool:
        """Always true."""
        return True

    def seekable(self) -> bool:
        """Always true."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position.

        Args:
            offset: bytes relative to `whence`.
            whence: 0 start, 1 current position, 2 end.
        """
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        return self._position

    def tell(self) -> int:
        """Current position in bytes."""
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer; returns the number of bytes, 0 at the end."""
        start, end = self._position, min(self._position + len(buffer), self._size)
        if end <= start:
            return 0
        behind = start - (self._size - len(self._tail))
        data = self._tail[behind : behind + end - start] if behind >= 0 else read_range(self._url, start, end, self._version)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
