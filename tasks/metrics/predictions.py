"""Predictions files, JSON Lines or Parquet, written by evaluation and read by scoring.

A row has `sample_id` and the fields of its task: `object_id` or `object_ids`, `start_s` and `end_s` (seconds of the clip,
half-open), `answer`, or, instead of an object, `boxes`: native frame -> [x1, y1, x2, y2], pixels, half-open. An absent or null
field was not predicted.
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
    """An invalid predictions file; the message names file, row and field."""


class Prediction(NamedTuple):
    """Prediction for one sample.

    Attributes:
        object_ids: predicted object IDs, in the order of the response.
        span_s: predicted span in seconds of the clip, half-open; None without one.
        answer: answer to a question; None without one.
        boxes: native frame -> box, pixels, half-open; None if objects were predicted.
    """

    object_ids: tuple[int, ...] = ()
    span_s: tuple[float, float] | None = None
    answer: str | None = None
    boxes: Mapping[int, Box] | None = None


def read_predictions(path: Path) -> dict[str, Prediction]:
    """Read a predictions file: sample ID -> prediction.

    Raises:
        PredictionsError: the file is missing, has another format, or contains a sample twice.
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
    """Prediction of a row.

    Args:
        row: one record of a predictions file.
        where: position of the record, for error messages.

    Raises:
        PredictionsError: a field has the wrong type; the message starts with `where`.
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
    """Boxes by frame, from an object in JSON or from rows of frame and box in Parquet."""
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
    """Whether a JSON value is a finite number within the range of a float."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
