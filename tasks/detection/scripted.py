"""Detector that reads detections from a file, such as true boxes or the output of another program."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.detection.base import Detection, DetectorConfig, filter_detections
from tasks.video.reader import Video
from tasks.weights import Weights


class ScriptedDetector:
    """Returns the detections in the JSON file `weights.path`; none for videos and frames that it does not list.

    The file is {video ID: {frame index as text: [[x1, y1, x2, y2, category, score], ...]}}, boxes in pixels, half-open.

    Raises:
        ValueError: no file is configured, or it has another format.
    """

    def __init__(self, config: DetectorConfig, weights: Weights | None = None) -> None:
        if weights is None:
            raise ValueError("the scripted detector reads a JSON file of boxes: name it as its weights")
        self._config = config
        self._script = read_script(weights.path)

    def detect(self, video: Video, indices: Sequence[int]) -> list[list[Detection]]:
        """Detections on each frame of `indices`, best score first.

        Args:
            video: the opened video.
            indices: 0-based native frame indices, ascending.
        """
        frames = self._script.get(video.source.video_id, {})
        return [filter_detections(frames.get(index, []), self._config) for index in indices]


def read_script(path: Path) -> dict[str, dict[int, list[Detection]]]:
    """Read a file of detections: video ID -> frame index -> detections.

    Raises:
        ValueError: the file does not have the format of `ScriptedDetector`; the message names the position.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    script: dict[str, dict[int, list[Detection]]] = {}
    for video_id, frames in _items(content, f"{path}"):
        script[video_id] = {}
        for frame, rows in _items(frames, f"{path}: {video_id}"):
            place = f"{path}: {video_id}: frame {frame}"
            if not (frame.isdecimal() and isinstance(rows, list)):
                raise ValueError(f"{place}: expected a frame index and a list of detections")
            script[video_id][int(frame)] = [_detection(row, place) for row in rows]
    return script


def _items(value: Any, place: str) -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        raise ValueError(f"{place}: expected an object, found {type(value).__name__}")
    return list(value.items())


def _detection(row: Any, place: str) -> Detection:
    match row:
        case [*box, str(category), int() | float() as score] if len(box) == 4 and 0 <= score <= 1:
            x1, y1, x2, y2 = _numbers(box, place)
            if x1 < x2 and y1 < y2:
                return Detection((x1, y1, x2, y2), category, float(score))
    raise ValueError(f"{place}: expected [x1, y1, x2, y2, category, score in 0..1] with x1 < x2 and y1 < y2, found {row!r}")


def _numbers(values: list[Any], place: str) -> list[float]:
    if any(isinstance(v, bool) or not isinstance(v, int | float) for v in values):
        raise ValueError(f"{place}: a box is four numbers, found {values!r}")
    return [float(v) for v in values]
