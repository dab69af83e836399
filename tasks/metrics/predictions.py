"""Predictions files, JSON Lines or Parquet, written by evaluation and read by scoring.

A row has `sample_id` and the fields of its task: `object_id` or `object_ids`, `start_s` and `end_s` (seconds of the clip,
half-open), `answer`, or, instead of an object, `boxes`: native frame -> [x1, y1, x2, y2], pixels, half-open. An absent or null
field was not predicted. A row with an impossible value costs its own sample, which scores zero and is counted.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from storage.common.errors import InputError
from tasks.benchmarks.reading import UTF_8, frame_number, parse_json, plain_text
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
        invalid: reason why the prediction cannot be used, so that its sample scores zero; empty if it can.
    """

    object_ids: tuple[int, ...] = ()
    span_s: tuple[float, float] | None = None
    answer: str | None = None
    boxes: Mapping[int, Box] | None = None
    invalid: str = ""


def read_predictions(path: Path) -> dict[str, Prediction]:
    """Read a predictions file: sample ID -> prediction.

    Raises:
        PredictionsError: the file is missing, has another format or an unknown field, or contains a sample or a frame twice.
    """
    if not path.is_file():
        raise PredictionsError(f"there is no predictions file '{path}'")
    predictions: dict[str, Prediction] = {}
    for where, row in _parquet(path) if path.suffix == ".parquet" else _lines(path):
        if row.get("sample_id") is None:
            raise PredictionsError(f"{where} has no 'sample_id'")
        sample_id = _sample_id(row["sample_id"], where)
        if sample_id in predictions:
            raise PredictionsError(f"{where} names the sample '{sample_id}' a second time")
        try:
            predictions[sample_id] = prediction_of(row, where)
        except ValueError as error:
            predictions[sample_id] = Prediction(invalid=str(error))
    if not predictions:
        raise PredictionsError(f"'{path}' holds no prediction")
    return predictions


def _sample_id(value: Any, where: str) -> str:
    try:
        return plain_text(value)
    except ValueError as error:
        raise PredictionsError(f"{where}: 'sample_id': {error}") from None


def _lines(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        with path.open(encoding=UTF_8) as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield f"{path}, line {number}", _object(parse_json(line), f"{path}, line {number}")
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
        PredictionsError: `boxes` has a frame twice.
        ValueError: a field has an impossible value.
    """
    ids = row.get("object_ids")
    if ids is None:
        ids = [] if row.get("object_id") is None else [row["object_id"]]
    if not isinstance(ids, list):
        raise ValueError(f"'object_ids' must be a list of whole numbers, not {ids!r:.40}")
    boxes = _boxes(row.get("boxes"), where)
    return Prediction(tuple(map(_object_id, ids)), _span(row), _answer(row.get("answer")), boxes)


def _object_id(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not is_number(value) or int(value) != value:
        raise ValueError(f"'object_ids' must be whole numbers, not {value!r:.40}")
    return int(value)


def _span(row: Mapping[str, Any]) -> tuple[float, float] | None:
    start, end = row.get("start_s"), row.get("end_s")
    if start is None and end is None:
        return None
    if start is None or end is None:
        raise ValueError("'start_s' and 'end_s' go together")
    if not (is_number(start) and is_number(end)):
        raise ValueError("'start_s' and 'end_s' must be finite numbers of seconds")
    return float(start), float(end)


def _answer(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ValueError(f"'answer' must be text, not {value!r:.40}")
    return value


def _boxes(value: Any, where: str) -> Mapping[int, Box] | None:
    """Boxes by frame, from an object in JSON or from rows of frame and box in Parquet."""
    if not value:
        return None
    try:
        pairs = value.items() if isinstance(value, dict) else [(row["frame"], row["box"]) for row in value]
    except (TypeError, KeyError):
        raise ValueError("'boxes' must be frame -> [x1, y1, x2, y2]") from None
    boxes: dict[int, Box] = {}
    for key, box in pairs:
        frame = frame_number(key)
        if frame in boxes:
            raise PredictionsError(f"{where}: 'boxes' has frame {frame} twice")
        boxes[frame] = checked_box(box, f"'boxes', frame {frame},")
    return boxes


MAX_COORDINATE = 1e9
"""Largest magnitude of a box's coordinate in pixels."""


def checked_box(value: Any, where: str) -> Box:
    """Box from JSON.

    Args:
        value: four numbers, pixels.
        where: position of the box, for error messages.

    Raises:
        ValueError: the value is no box, or its corners are in another order.
    """
    if not isinstance(value, list) or len(value) != 4 or not all(is_number(side, MAX_COORDINATE) for side in value):
        raise ValueError(f"{where} must be four finite numbers x1, y1, x2, y2")
    x1, y1, x2, y2 = (float(side) for side in value)
    if x2 < x1 or y2 < y1:
        raise ValueError(f"{where} has x2 < x1 or y2 < y1: give corners as x1, y1, x2, y2")
    return x1, y1, x2, y2


def is_number(value: Any, largest: float = sys.float_info.max) -> bool:
    """Whether a JSON value is a finite number.

    Args:
        value: as read from JSON.
        largest: largest magnitude that counts.
    """
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= largest
