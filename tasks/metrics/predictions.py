"""What a model answered, read from JSON Lines or Parquet: what evaluation writes and scoring reads.

A row has `sample_id`, and of the rest what its task asks for: `object_id` or `object_ids`, `start_s` and `end_s` (seconds of
the clip, half-open), `answer`; in place of an object `boxes`, native frame -> [x1, y1, x2, y2], pixels, half-open. A field that
is absent or null was not answered.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from storage.common.errors import InputError
from tasks.masks.instances import Box

FIELDS = ("sample_id", "object_id", "object_ids", "start_s", "end_s", "answer", "boxes")


class PredictionsError(InputError):
    """A predictions file that cannot be used; the message names file, row and field."""


class Prediction(NamedTuple):
    """One answer.

    Attributes:
        object_ids: the objects named, in the order in which they were.
        span_s: seconds of the clip, half-open, as given; None if no time was.
        answer: to a question; None if there is none.
        boxes: native frame -> box, pixels, half-open; None where objects were named instead.
    """

    object_ids: tuple[int, ...] = ()
    span_s: tuple[float, float] | None = None
    answer: str | None = None
    boxes: Mapping[int, Box] | None = None


def read_predictions(path: Path) -> dict[str, Prediction]:
    """Read a predictions file, sample ID -> answer.

    Raises:
        PredictionsError: it is missing, of the wrong kind, or names a sample twice.
    """
    if not path.is_file():
        raise PredictionsError(f"there is no predictions file '{path}'")
    predictions: dict[str, Prediction] = {}
    for where, row in _parquet(path) if path.suffix == ".parquet" else _lines(path):
        sample_id = row.get("sample_id")
        if not isinstance(sample_id, str):
            raise PredictionsError(f"{where} has no 'sample_id'")
        if sample_id in predictions:
            raise PredictionsError(f"{where} names the sample '{sample_id}' a second time")
        predictions[sample_id] = prediction_of(row, f"{where} ('{sample_id}')")
    if not predictions:
        raise PredictionsError(f"'{path}' holds no prediction")
    return predictions


def _lines(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield f"{path}, line {number}", _object(json.loads(line), f"{path}, line {number}")
    except (ValueError, RecursionError) as error:
        raise PredictionsError(f"'{path}' is not JSON Lines ({error}): write one JSON object a line, or Parquet") from error


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise PredictionsError(f"{where} is not a JSON object")
    unknown = sorted(set(value) - set(FIELDS))
    if unknown:
        raise PredictionsError(f"{where} has an unknown field '{unknown[0]}': known are {', '.join(FIELDS)}")
    return value


def _parquet(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = [name for name in FIELDS if name in file.schema_arrow.names]
            rows: Iterable[Any] = (row for batch in file.iter_batches(columns=names) for row in batch.to_pylist())
            for number, row in enumerate(rows, start=1):
                yield f"{path}, row {number}", row
    except (pa.ArrowException, OSError, ValueError) as error:
        raise PredictionsError(f"'{path}' is not a Parquet file ({error})") from error


def prediction_of(row: Mapping[str, Any], where: str) -> Prediction:
    """The prediction of a row.

    Args:
        row: one record of a predictions file.
        where: position of the record, for error messages.

    Raises:
        PredictionsError: a field is of the wrong kind; `where` is named.
    """
    ids = row.get("object_ids")
    if ids is None:
        ids = [] if row.get("object_id") is None else [row["object_id"]]
    if not isinstance(ids, list) or not all(isinstance(i, int) and not isinstance(i, bool) for i in ids):
        raise PredictionsError(f"{where}: 'object_ids' must be whole numbers")
    start, end, answer = (row.get(name) for name in ("start_s", "end_s", "answer"))
    if (start is None) != (end is None):
        raise PredictionsError(f"{where}: 'start_s' and 'end_s' go together")
    if start is not None and not all(is_number(value) for value in (start, end)):
        raise PredictionsError(f"{where}: 'start_s' and 'end_s' must be finite numbers of seconds")
    if answer is not None and not isinstance(answer, str):
        raise PredictionsError(f"{where}: 'answer' must be text")
    span = None if start is None else (float(start), float(end))  # type: ignore[arg-type]
    return Prediction(tuple(ids), span, answer, _boxes(row.get("boxes"), where))


def _boxes(value: Any, where: str) -> Mapping[int, Box] | None:
    """Boxes by frame: an object in JSON, rows of frame and box in Parquet."""
    if not value:
        return None
    try:
        pairs = value.items() if isinstance(value, dict) else ((row["frame"], row["box"]) for row in value)
        boxes = {int(frame): tuple(float(side) for side in box) for frame, box in pairs}
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise PredictionsError(f"{where}: 'boxes' must be frame -> [x1, y1, x2, y2]") from error
    if not all(len(box) == 4 and all(math.isfinite(side) for side in box) for box in boxes.values()):
        raise PredictionsError(f"{where}: 'boxes' must be frame -> [x1, y1, x2, y2], finite pixels")
    return boxes  # type: ignore[return-value]


def is_number(value: Any) -> bool:
    """Whether a JSON value is a finite number that a float can hold."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
