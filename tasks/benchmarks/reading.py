"""Parsing of annotation files: JSON files, field values, and relative paths."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from storage.common.names import is_contained_path
from storage.folders.cache import cached_copy, find_remote
from storage.folders.folder import FolderLike
from storage.folders.local import LocalFolder
from storage.folders.open import folder_at, is_url
from tasks.benchmarks.samples import AnnotationError
from tasks.video.reader import MAX_FRAME_COUNT

UTF_8 = "utf-8-sig"
"""Encoding of annotations and predictions: UTF-8, with or without a byte order mark."""


def annotation_file(where: str) -> Path:
    """Local path of an annotation file; an object is copied to the cache.

    Raises:
        AnnotationError: the object does not exist.
        StoreError: the object cannot be read.
    """
    if not is_url(where):
        return Path(where)
    try:
        with cached_copy(find_remote(where)) as path:
            return path
    except FileNotFoundError:
        raise AnnotationError(f"there is no annotation file '{where}'") from None


def local_folder(where: FolderLike) -> Path:
    """Path of a folder that must be on the local disk.

    Raises:
        AnnotationError: the folder is in an object store.
    """
    folder = folder_at(where)
    if isinstance(folder, LocalFolder):
        return folder.path
    raise AnnotationError(f"'{where}' must be a folder on disk: only video files are read from object stores")


def parse_json(text: str) -> Any:
    """Parse JSON.

    Raises:
        ValueError: the text is not JSON, an object has a field twice, or a string contains an unpaired surrogate, which cannot
            be encoded as UTF-8.
    """
    value = json.loads(text, object_pairs_hook=_unique_fields)
    if _SURROGATE.search(text):
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _unique_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        twice = next(name for name in value if sum(name == other for other, _ in pairs) > 1)
        raise ValueError(f"an object has the field {twice!r:.60} twice")
    return value


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def load_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        AnnotationError: the file is missing or is not JSON.
    """
    try:
        return parse_json(path.read_text(encoding=UTF_8))
    except FileNotFoundError:
        raise AnnotationError(f"there is no annotation file '{path}'") from None
    except (OSError, ValueError, RecursionError) as error:  # ValueError includes integers with too many digits
        raise AnnotationError(f"'{path}' is not a JSON file ({error})") from error


def load_object(path: Path, kind: str) -> dict[str, Any]:
    """Read a JSON file whose content is a non-empty object.

    Args:
        path: annotation file.
        kind: description of the content, for error messages.
    """
    value = load_json(path)
    if not isinstance(value, dict) or not value:
        raise AnnotationError(f"'{path}' is not {kind}: it must be a JSON object that is not empty")
    return value


def load_list(path: Path, kind: str) -> list[Any]:
    """Read a JSON file whose content is a non-empty list.

    Args:
        path: annotation file.
        kind: description of the content, for error messages.
    """
    value = load_json(path)
    if not isinstance(value, list) or not value:
        raise AnnotationError(f"'{path}' is not {kind}: it must be a JSON list that is not empty")
    return value


def load_lines(path: Path, kind: str) -> list[tuple[int, str]]:
    """Read a text file with one record per line: 1-based line number and text of each non-empty line.

    Lines end with LF, CR LF or CR; U+2028 and U+0085 may be part of a text.

    Args:
        path: text file.
        kind: description of the content, for error messages.
    """
    try:
        lines = path.read_text(encoding=UTF_8).split("\n")
    except FileNotFoundError:
        raise AnnotationError(f"there is no annotation file '{path}'") from None
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"'{path}' is not a text file ({error})") from error
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not numbered:
        raise AnnotationError(f"'{path}' is empty: {kind} has one record per line")
    return numbered


def require(record: Any, names: Iterable[str], where: str, kind: str) -> None:
    """Raise an `AnnotationError` unless a record is an object with the required fields.

    Args:
        record: value read from JSON.
        names: required fields.
        where: position of the record, for error messages.
        kind: description of the content, for error messages.
    """
    missing = [name for name in names if not isinstance(record, Mapping) or name not in record]
    if missing:
        raise AnnotationError(f"{where} lacks '{missing[0]}': this is not {kind}")


class record_errors:  # noqa: N801  a context manager reads as a word
    """Context manager that converts errors of invalid values to an `AnnotationError` that names the record."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, KeyError):
            raise AnnotationError(f"{self._where} lacks {error}") from error
        if isinstance(error, (TypeError, ValueError, IndexError, AttributeError, ArithmeticError)):
            raise AnnotationError(f"{self._where} has a value of the wrong kind: {error}") from error


def finite_number(value: Any) -> float:
    """Convert a number, or its text, to a finite float; others raise `ValueError`, as do NaN and infinity."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{value!r:.40} is not a number") from None
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not a finite number")
    return number


def frame_number(value: Any) -> int:
    """Convert a whole number, such as 100, 100.0 or "100", to an integer from 0 to `MAX_FRAME_COUNT`.

    Raises:
        ValueError: the value is something else.
    """
    try:
        number = -1.0 if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if not 0 <= number <= MAX_FRAME_COUNT or not number.is_integer():
        raise ValueError(f"{value!r:.40} is not a whole number from 0 to {MAX_FRAME_COUNT:,}")
    return int(number)


def plain_text(value: Any) -> str:
    """Convert a string or a number, such as an ID that pandas wrote as 7.0, to text; other values raise `ValueError`."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or (isinstance(value, float) and math.isnan(value)):
        raise ValueError(f"{value!r:.40} is neither a text nor a number")
    return str(value)


def stripped_text(value: Any) -> str:
    """Strip a string; values of other types raise `TypeError`."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is not a text")
    return value.strip()


def video_path(name: Any, where: str) -> PurePosixPath:
    """Check a video name in an annotation: it must be a relative path that stays in its folder.

    Args:
        name: value read from JSON.
        where: position of the value, for error messages.

    Raises:
        AnnotationError: the name is absolute, contains '..', or is not a string.
    """
    if not isinstance(name, str) or not is_contained_path(name):
        raise AnnotationError(f"{where} names the video {name!r}, which is not a path below the videos folder")
    path = PurePosixPath(name)
    if any(len(part.encode(errors="replace")) > 255 for part in path.parts):
        raise AnnotationError(f"{where} names a video by more than 255 bytes, which is not a path below the videos folder")
    return path
