"""Answer to a sentence about one video, as it is stored in JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from storage.folders.files import atomic_file

_RENAMED = {"ids": "ids_status", "span": "span_status"}
"""Fields of files before version 2."""


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Mask(_Stored):
    """A mask in COCO's compressed form.

    Attributes:
        size: (height, width) of the frame, pixels.
        counts: Compressed run lengths.
    """

    size: tuple[int, int]
    counts: str


class TubeFrame(_Stored):
    """An object on one frame.

    Attributes:
        frame: Index of the native frame, 0-based.
        time_s: Time of the frame, seconds of the video.
        object_id: ID of the object whose mask it is: the predicted one, or the one that ID repair replaces it by.
        repair: Origin of the mask: `kept`, `corrected` or `fallback` (`tasks.metrics.repair.Choice`).
        category: Category that the detector assigned.
        box: (x1, y1, x2, y2), pixels, half-open.
        mask: Mask of the object.
    """

    frame: int
    time_s: float
    object_id: int
    repair: Literal["kept", "corrected", "fallback"]
    category: str
    box: tuple[int, int, int, int]
    mask: Mask


class GroundResult(_Stored):
    """Answer of a model to a sentence about a section of a video.

    Attributes:
        version: Version of the file's layout.
        video: Path or URL of the video.
        sentence: Sentence that the model was given.
        object_ids: Predicted object IDs.
        ids_status: Result of parsing the object IDs (`rl.prompts.answers.Status`).
        span_s: Predicted time range, seconds of the video, half-open; None if it was not read.
        span_status: Result of parsing the time range.
        span_frames: Native frames of the range that lie in the section, closed; None if there are none.
        clip_s: Section that the model saw, seconds of the video, half-open.
        size: (width, height) of a native frame, pixels.
        tubes: Predicted object ID -> the object on each frame, ascending; empty unless an ID and a time range were read.
        thought: Thought of the model, before its answer.
        text: Whole response of the model.
        engine: Identity of the engine.
        clip: Path of the clip with the answer drawn; empty before it is written.
        path: Path of the JSON file, which does not contain it; empty before it is written.
    """

    version: Literal[2] = 2
    video: str = ""
    sentence: str
    object_ids: tuple[int, ...]
    ids_status: str
    span_s: tuple[float, float] | None
    span_status: str
    span_frames: tuple[int, int] | None
    clip_s: tuple[float, float]
    size: tuple[int, int]
    tubes: dict[int, tuple[TubeFrame, ...]]
    thought: str
    text: str
    engine: dict[str, JsonValue] = {}
    clip: str = ""
    path: str = ""


def write_ground_result(path: Path, result: GroundResult) -> None:
    """Write an answer, as a whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_text(result.model_dump_json(exclude={"path"}), encoding="utf-8")


def read_ground_result(path: Path) -> GroundResult:
    """Read a stored answer, also one of version 1.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged.
    """
    stored = _upgrade(json.loads(path.read_text(encoding="utf-8")))
    return GroundResult.model_validate({**stored, "path": str(path)})


def _upgrade(stored: dict[str, Any]) -> dict[str, Any]:
    if "version" in stored:
        return stored
    for frames in stored["tubes"].values():
        for frame in frames:
            frame["repair"] = frame.pop("how")
    return {"version": 2, **{_RENAMED.get(name, name): value for name, value in stored.items()}}
