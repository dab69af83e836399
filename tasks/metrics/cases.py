"""Case file: truths and predictions of one evaluation in a JSON format that is independent of datasets.

`{"cases": [{"sample_id", "fps", "frame_count", "gt", "pred"}, ...]}`, `gt` and `pred` each
`{"start_frame", "end_frame", "boxes": {"<frame>": [x1, y1, x2, y2]}}`, frames 0-based and closed, boxes in pixels; `pred` null
where there is no prediction. Optional: `clip` [first, last] frame; `start_s`, `end_s` in `gt` and `pred`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from storage.common.errors import InputError
from storage.common.names import one_of
from tasks.metrics.conventions import CONVENTIONS, DEFAULT, Convention
from tasks.metrics.predictions import is_number
from tasks.metrics.report import Tally, TaskReport, scores_by_name
from tasks.metrics.temporal import TEMPORAL, TemporalConvention
from tasks.metrics.tubes import Case, Tube
from tasks.video.reader import MAX_FRAME_COUNT


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
    """Score cases by a convention; missing predictions score zero.

    Raises:
        ScoreError: there is no convention of this name.
    """
    rule = find_convention(convention)
    tally = Tally(rule.name, rule.reaches)
    for case in cases:
        tally.add(case.sample_id, None if case.predicted is None else scores_by_name(rule.score(case)))
    return tally.report()


def read_cases(path: Path) -> list[Case]:
    """Read a case file.

    Raises:
        ScoreError: the file is missing, has another format, or contains an invalid case.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
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
    if not isinstance(record, dict) or not isinstance(record.get("sample_id"), (str, int)):
        raise ScoreError(f"case {number} has no 'sample_id': every case must name its sample")
    where = f"sample '{record['sample_id']}'"
    fps, frame_count = _number(record, "fps", where), _whole(record, "frame_count", where)
    if fps <= 0 or not 1 <= frame_count <= MAX_FRAME_COUNT:
        raise ScoreError(f"{where}: 'fps' and 'frame_count' must be above 0, and 'frame_count' at most {MAX_FRAME_COUNT:,}")
    clip = record.get("clip")
    if clip is not None and not (isinstance(clip, list) and len(clip) == 2 and all(map(_is_frame, clip))):
        raise ScoreError(f"{where}: 'clip' must be [first frame, last frame]")
    truth = _tube(record.get("gt"), f"{where}: 'gt'", frame_count)
    if not len(truth.frames):
        raise ScoreError(f"{where}: 'gt' has no boxes: a truth needs at least one")
    predicted = None if record.get("pred") is None else _tube(record["pred"], f"{where}: 'pred'", frame_count)
    return Case(
        sample_id=str(record["sample_id"]),
        fps=fps,
        frame_count=frame_count,
        truth=truth,
        predicted=predicted,
        clip=tuple(clip) if clip else None,
        truth_s=_seconds(record.get("gt"), f"{where}: 'gt'"),
        predicted_s=_seconds(record.get("pred"), f"{where}: 'pred'"),
    )


def _tube(value: Any, where: str, frame_count: int) -> Tube:
    if not isinstance(value, dict):
        raise ScoreError(f"{where} is missing: it must be an object with start_frame, end_frame and boxes")
    start, end = _whole(value, "start_frame", where), _whole(value, "end_frame", where)
    if not 0 <= start <= end < frame_count:
        raise ScoreError(f"{where} has the span {start} to {end}, which must be ascending and within 0 to {frame_count - 1}")
    boxes = value.get("boxes")
    if not isinstance(boxes, dict):
        raise ScoreError(f"{where} lacks 'boxes', an object frame -> [x1, y1, x2, y2]")
    placed = sorted((_frame(key, where, frame_count), _box(box, f"{where}, box of frame {key}")) for key, box in boxes.items())
    frames = np.array([frame for frame, _ in placed], np.int64)
    return Tube(start, end, frames, np.array([box for _, box in placed], np.float64).reshape(-1, 4))


def _frame(key: str, where: str, frame_count: int) -> int:
    if not key.isdecimal() or int(key) >= frame_count:
        raise ScoreError(f"{where} has a box of frame '{key}', which must be a whole number from 0 to {frame_count - 1}")
    return int(key)


def _box(value: Any, where: str) -> list[float]:
    if not isinstance(value, list) or len(value) != 4 or not all(is_number(side) for side in value):
        raise ScoreError(f"{where}, must be four finite numbers x1, y1, x2, y2")
    if value[2] < value[0] or value[3] < value[1]:
        raise ScoreError(f"{where}, has x2 < x1 or y2 < y1: give corners as x1, y1, x2, y2")
    return [float(side) for side in value]


def _is_frame(value: Any) -> bool:
    return type(value) is int and abs(value) <= MAX_FRAME_COUNT


def _number(record: Mapping[str, Any], name: str, where: str) -> float:
    if not is_number(record.get(name)):
        raise ScoreError(f"{where} lacks '{name}', a finite number")
    return float(record[name])


def _whole(record: Mapping[str, Any], name: str, where: str) -> int:
    if type(record.get(name)) is not int:
        raise ScoreError(f"{where} lacks '{name}', a whole number")
    return int(record[name])


def _seconds(value: Any, where: str) -> tuple[float, float] | None:
    if value is None or ("start_s" not in value and "end_s" not in value):
        return None
    return _number(value, "start_s", where), _number(value, "end_s", where)
