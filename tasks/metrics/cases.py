"""Case file: truths and predictions of one evaluation in a JSON format that is independent of datasets.

`{"cases": [{"sample_id", "fps", "frame_count", "gt", "pred"}, ...]}`, `gt` and `pred` each
`{"start_frame", "end_frame", "boxes": {"<frame>": [x1, y1, x2, y2]}}`, frames 0-based and closed, boxes in pixels; `pred` null
where there is no prediction. Optional: `clip` [first, last] frame; `start_s`, `end_s` in `gt` and `pred`; `kind`, `width` and
`height`, which are not used. An impossible `pred` costs its own sample, which scores zero and is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from storage.common.errors import InputError
from storage.common.names import one_of
from tasks.benchmarks.reading import UTF_8, frame_number, parse_json, plain_text
from tasks.masks.instances import Box
from tasks.metrics.conventions import CONVENTIONS, DEFAULT, Convention
from tasks.metrics.predictions import checked_box, is_number
from tasks.metrics.report import Tally, TaskReport, scores_by_name
from tasks.metrics.temporal import TEMPORAL, TemporalConvention
from tasks.metrics.tubes import Case, Tube
from tasks.video.reader import MAX_FRAME_COUNT

_CASE = ("sample_id", "fps", "frame_count", "gt", "pred", "clip", "kind", "width", "height")
_TUBE = ("start_frame", "end_frame", "boxes", "start_s", "end_s")


class ScoreError(InputError):
    """Invalid input of scoring; the message is a sentence that names sample and field."""


def find_convention(name: str) -> Convention:
    """Convention by name.

    Raises:
        ScoreError: there is no convention of this name.
    """
    return one_of(CONVENTIONS, name, "convention", ScoreError)


def find_rules(name: str) -> tuple[Convention, TemporalConvention]:
    """Spatio-temporal and temporal convention of a name; the default one for a kind without this name.

    Raises:
        ScoreError: there is no convention of this name.
    """
    if name not in CONVENTIONS and name not in TEMPORAL:
        raise ScoreError(f"there is no convention '{name}': choose from {', '.join({**CONVENTIONS, **TEMPORAL})}")
    return CONVENTIONS.get(name, CONVENTIONS[DEFAULT]), TEMPORAL.get(name, TEMPORAL[DEFAULT])


def score_cases(cases: Iterable[Case], convention: str = DEFAULT) -> TaskReport:
    """Score cases by a convention; missing and invalid predictions score zero.

    Raises:
        ScoreError: there is no convention of this name.
    """
    rule = find_convention(convention)
    tally = Tally(rule.name, rule.reaches)
    for case in cases:
        scored = None if case.predicted is None or case.invalid else scores_by_name(rule.score(case))
        tally.add(case.sample_id, scored, invalid=case.invalid)
    return tally.report()


def read_cases(path: Path) -> list[Case]:
    """Read a case file.

    Raises:
        ScoreError: the file is missing, has another format or an unknown field, or contains a case without a valid truth.
    """
    try:
        value = parse_json(path.read_text(encoding=UTF_8))
    except FileNotFoundError:
        raise ScoreError(f"there is no case file '{path}'") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ScoreError(f"'{path}' is not a JSON file ({error})") from error
    records = value.get("cases") if isinstance(value, dict) else value
    if not isinstance(records, list) or not records:
        raise ScoreError(f"'{path}' holds no cases: it must be a list of cases, or an object with a list 'cases'")
    cases = [_case(record, number) for number, record in enumerate(records)]
    seen: set[str] = set()
    for case in cases:
        if case.sample_id in seen:
            raise ScoreError(f"sample '{case.sample_id}' is in '{path}' twice: sample IDs must be unique")
        seen.add(case.sample_id)
    return cases


def _case(record: Any, number: int) -> Case:
    if not isinstance(record, dict) or record.get("sample_id") is None:
        raise ScoreError(f"case {number} has no 'sample_id': every case must name its sample")
    sample_id = _sample_id(record["sample_id"], number)
    where = f"sample '{sample_id}'"
    _check_fields(record, _CASE, where)
    fps, frame_count = _number(record, "fps", where), _whole(record, "frame_count", where)
    if fps <= 0 or not 1 <= frame_count <= MAX_FRAME_COUNT:
        raise ScoreError(f"{where}: 'fps' and 'frame_count' must be above 0, and 'frame_count' at most {MAX_FRAME_COUNT:,}")
    truth, truth_s = _tube(record.get("gt"), f"{where}: 'gt'", frame_count)
    if not len(truth.frames):
        raise ScoreError(f"{where}: 'gt' has no boxes: a truth needs at least one")
    predicted, predicted_s, invalid = _predicted(record.get("pred"), f"{where}: 'pred'", frame_count)
    return Case(
        sample_id=sample_id,
        fps=fps,
        frame_count=frame_count,
        truth=truth,
        predicted=predicted,
        clip=_clip(record.get("clip"), where),
        truth_s=truth_s,
        predicted_s=predicted_s,
        invalid=invalid,
    )


def _sample_id(value: Any, number: int) -> str:
    try:
        return plain_text(value)
    except ValueError as error:
        raise ScoreError(f"case {number} has no 'sample_id': {error}") from None


def _check_fields(record: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    unknown = sorted(set(record) - set(known))
    if unknown:
        raise ScoreError(f"{where} has an unknown field '{unknown[0]}': known are {', '.join(known)}")


def _clip(value: Any, where: str) -> tuple[int, int] | None:
    if value is None:
        return None
    try:
        first, last = map(frame_number, value)
    except (TypeError, ValueError):
        raise ScoreError(f"{where}: 'clip' must be [first frame, last frame]") from None
    return first, last


Seconds = tuple[float, float]


def _predicted(value: Any, where: str, frame_count: int) -> tuple[Tube | None, Seconds | None, str]:
    """Predicted tube and span in seconds, and the reason why they cannot be used; a form that loses data is refused."""
    if value is None:
        return None, None, ""
    if isinstance(value, dict):
        _check_fields(value, _TUBE, where)
        _check_frames(value.get("boxes"), where)
    try:
        return *_tube(value, where, frame_count), ""
    except ScoreError as error:
        return None, None, str(error)


def _check_frames(boxes: Any, where: str) -> None:
    """Refuse boxes with two spellings of one frame, such as "1" and "01"."""
    numbers = [int(key) for key in boxes if key.isdecimal()] if isinstance(boxes, dict) else []
    if len(set(numbers)) < len(numbers):
        twice = next(number for number in numbers if numbers.count(number) > 1)
        raise ScoreError(f"{where} has frame {twice} twice")


def _tube(value: Any, where: str, frame_count: int) -> tuple[Tube, Seconds | None]:
    if not isinstance(value, dict):
        raise ScoreError(f"{where} is missing: it must be an object with start_frame, end_frame and boxes")
    _check_fields(value, _TUBE, where)
    start, end = _whole(value, "start_frame", where), _whole(value, "end_frame", where)
    if not 0 <= start <= end < frame_count:
        raise ScoreError(f"{where} has the span {start} to {end}, which must be ascending and within 0 to {frame_count - 1}")
    boxes = value.get("boxes")
    if not isinstance(boxes, dict):
        raise ScoreError(f"{where} lacks 'boxes', an object frame -> [x1, y1, x2, y2]")
    _check_frames(boxes, where)
    placed = sorted((_frame(key, where, frame_count), _box(box, f"{where}, box of frame {key},")) for key, box in boxes.items())
    frames = np.array([frame for frame, _ in placed], np.int64)
    corners = np.array([box for _, box in placed], np.float64).reshape(-1, 4)
    return Tube(start, end, frames, corners), _seconds(value, where)


def _frame(key: str, where: str, frame_count: int) -> int:
    if not key.isdecimal() or int(key) >= frame_count:
        raise ScoreError(f"{where} has a box of frame '{key}', which must be a whole number from 0 to {frame_count - 1}")
    return int(key)


def _box(value: Any, where: str) -> Box:
    try:
        return checked_box(value, where)
    except ValueError as error:
        raise ScoreError(str(error)) from None


def _number(record: Mapping[str, Any], name: str, where: str) -> float:
    if not is_number(record.get(name)):
        raise ScoreError(f"{where} lacks '{name}', a finite number")
    return float(record[name])


def _whole(record: Mapping[str, Any], name: str, where: str) -> int:
    value: Any = record.get(name)
    if not is_number(value, MAX_FRAME_COUNT) or value != int(value):
        raise ScoreError(f"{where} lacks '{name}', a whole number")
    return int(value)


def _seconds(value: Mapping[str, Any], where: str) -> Seconds | None:
    if "start_s" not in value and "end_s" not in value:
        return None
    return _number(value, "start_s", where), _number(value, "end_s", where)
