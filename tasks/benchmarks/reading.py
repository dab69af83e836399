"""What all adapters share: reading JSON and its values, and names that stay in their folder."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from storage.common.names import is_contained_path
from storage.folders.cache import cached_copy, find_remote
from storage.folders.folder import Where
from storage.folders.local import LocalFolder
from storage.folders.open import folder_at, is_url
from tasks.benchmarks.samples import AnnotationError, Target
from tasks.masks.instances import Box
from tasks.video.reader import MAX_FRAME_COUNT


def annotation_file(where: str) -> Path:
    """An annotation file on this machine's disk: itself, or the copy of an object.

    Raises:
        AnnotationError: there is no such object.
        StoreError: the object cannot be read.
    """
    if not is_url(where):
        return Path(where)
    try:
        with cached_copy(find_remote(where)) as path:
            return path
    except FileNotFoundError:
        raise AnnotationError(f"there is no annotation file '{where}'") from None


def local_folder(where: Where) -> Path:
    """A folder that is read file by file.

    Raises:
        AnnotationError: it is not on this machine.
    """
    folder = folder_at(where)
    if isinstance(folder, LocalFolder):
        return folder.path
    raise AnnotationError(f"'{where}' must be a folder on disk: of object stores, only video files are read")


def parse_json(text: str) -> Any:
    """Read JSON.

    Raises:
        ValueError: it is none, or holds half of a surrogate pair, which no file, table or terminal takes.
    """
    value = json.loads(text)
    if _SURROGATE.search(text):
        json.dumps(value, ensure_ascii=False).encode()
    return value


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def load_json(path: Path) -> Any:
    """Read an annotation file.

    Raises:
        AnnotationError: it is missing, or no JSON.
    """
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AnnotationError(f"there is no annotation file '{path}'") from None
    except (OSError, ValueError, RecursionError) as error:  # among the latter: integers of too many digits
        raise AnnotationError(f"'{path}' is not a JSON file ({error})") from error


def load_object(path: Path, kind: str) -> dict[str, Any]:
    """Read an annotation file that holds a JSON object; `kind` says what it should be, for the message.

    Args:
        path: annotation file.
        kind: description of the content, for error messages.
    """
    value = load_json(path)
    if not isinstance(value, dict) or not value:
        raise AnnotationError(f"'{path}' is not {kind}: it must be a JSON object that is not empty")
    return value


def load_list(path: Path, kind: str) -> list[Any]:
    """Read an annotation file that holds a JSON list; `kind` says what it should be, for the message.

    Args:
        path: annotation file.
        kind: description of the content, for error messages.
    """
    value = load_json(path)
    if not isinstance(value, list) or not value:
        raise AnnotationError(f"'{path}' is not {kind}: it must be a JSON list that is not empty")
    return value


def load_lines(path: Path, kind: str) -> list[tuple[int, str]]:
    """Read a text file of one record a line: number from 1 and text of each line that is not empty.

    Args:
        path: text file.
        kind: description of the content, for error messages.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise AnnotationError(f"there is no annotation file '{path}'") from None
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"'{path}' is not a text file ({error})") from error
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not numbered:
        raise AnnotationError(f"'{path}' is empty: {kind} has one record a line")
    return numbered


def require(record: Any, names: Iterable[str], where: str, kind: str) -> None:
    """Raise an `AnnotationError` unless `record` is an object with these fields.

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
    """Names the record in which a value of the wrong kind, or an impossible one, stands."""

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
    """A number that is one; NaN and infinity, which JSON lets through here, raise `ValueError`."""
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not a finite number")
    return number


def frame_number(value: Any) -> int:
    """A whole number from 0 to `MAX_FRAME_COUNT`, such as of a frame or pixels; anything else raises `ValueError`."""
    number = int(value)
    if isinstance(value, bool) or number != float(value) or not 0 <= number <= MAX_FRAME_COUNT:
        raise ValueError(f"{value!r:.40} is not a whole number from 0 to {MAX_FRAME_COUNT:,}")
    return number


def stripped_text(value: Any) -> str:
    """A text without white space around it; anything but a text raises `TypeError`."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is not a text")
    return value.strip()


def corners_from_xywh(box: Iterable[Any]) -> Box:
    """x, y, width, height into x1, y1, x2, y2."""
    x, y, width, height = (float(value) for value in box)
    return x, y, x + width, y + height


def clipped_target(frames: Iterable[int], boxes: Iterable[Box], size: tuple[int, int] | None) -> tuple[Target, int]:
    """A target of boxes clipped to an image of (width, height), and how many of them reached beyond it.

    Args:
        frames: native frame indices.
        boxes: box on each of these frames, pixels, half-open.
        size: (width, height) of the image in pixels; None to keep boxes as they are.
    """
    at = np.fromiter(frames, np.int64)
    raw = np.asarray([*boxes], np.float64).reshape(-1, 4)
    if len(at) != len(raw) or not np.isfinite(raw).all() or (np.diff(at) <= 0).any() or (at < 0).any():
        raise ValueError("frames and boxes must be as many, finite, and in ascending order from frame 0")
    if len(at) and at[-1] > MAX_FRAME_COUNT:
        raise ValueError(f"frame {at[-1]} is beyond any video's")
    if (raw[:, 2:] < raw[:, :2]).any():
        raise ValueError("a box has a negative width or height")
    if size is None:
        return Target(at, raw), 0
    boxes_inside = np.clip(raw, 0, [size[0], size[1], size[0], size[1]])
    return Target(at, boxes_inside), int((boxes_inside != raw).any(axis=1).sum())


def video_path(name: Any, where: str) -> PurePosixPath:
    """A relative path that cannot lead out of the folder it is looked up in.

    Args:
        name: value read from JSON.
        where: position of the value, for error messages.

    Raises:
        AnnotationError: it is absolute, climbs with '..', or is no name at all.
    """
    if not isinstance(name, str) or not is_contained_path(name):
        raise AnnotationError(f"{where} names the video {name!r}, which is not a path below the videos folder")
    path = PurePosixPath(name)
    if any(len(part.encode(errors="replace")) > 255 for part in path.parts):
        raise AnnotationError(f"{where} names a video by more than 255 bytes, which is not a path below the videos folder")
    return path
