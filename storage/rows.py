"""Types of the rows of a dataset's tables, as `to_pylist` returns them; their keys are the columns in `storage.schema`.

A row that is read with some of the columns has those keys alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict


class TrackedObjectRow(TypedDict):
    """An entry of `objects` in a `VideoRow`: `storage.schema.OBJECT`."""

    object_id: int
    category: str
    score: float
    found_at: int
    frames: int


class FrameRangeRow(TypedDict):
    """A closed range of native frames: `storage.schema.FRAME_RANGE`."""

    start_frame: int
    end_frame: int


class VideoRow(TypedDict):
    """A row of `storage.schema.VIDEOS`."""

    video_id: str
    path: str
    sha256: str
    width: int
    height: int
    frame_count: int
    fps: float
    duration_s: float
    times_s: list[float]
    tracked: list[FrameRangeRow]
    hidden_behind_older: int
    merged: int
    recovered: int
    encoder_passes: int
    object_steps: int
    features: str
    objects: list[TrackedObjectRow]
    note: str | None


class MaskRow(TypedDict):
    """A row of `storage.schema.MASKS`."""

    video_id: str
    frame_index: int
    object_id: int
    category: str
    x1: int
    y1: int
    x2: int
    y2: int
    area: int
    anchor_x: int
    anchor_y: int
    rle_counts: bytes


class ClipRow(TypedDict):
    """A row of `storage.schema.CLIPS`."""

    clip_id: str
    video_id: str
    start_s: float
    end_s: float
    first_frame: int | None
    last_frame: int | None
    frame_count: int
    sample_fps: float
    width: int
    height: int
    digit_height_px: float
    reason: str


class MarkerRow(TypedDict):
    """An entry of `markers` in a `FrameRow`: `storage.schema.MARKER`."""

    object_id: int
    label: str
    x: float
    y: float


class FrameRow(TypedDict):
    """A row of `storage.schema.FRAMES`."""

    clip_id: str
    video_id: str
    position: int
    frame_index: int
    time_s: float
    markers: list[MarkerRow]
    jpeg: bytes


class TargetRow(TypedDict):
    """An entry of `targets` in a `SampleRow`: `storage.schema.TARGET`."""

    frames: list[int]
    boxes: list[list[float]]
    counts: list[bytes]


class SampleRow(TypedDict):
    """A row of `storage.schema.SAMPLES`."""

    sample_id: str
    clip_id: str
    video_id: str
    task: str
    group: str
    sentence: str
    start_s: float | None
    end_s: float | None
    start_frame: int | None
    end_frame: int | None
    targets: list[TargetRow]
    answer_ids: Sequence[int]
    vote_share: float
    mean_iou: float
    votes: int
    reason: str
    options: Sequence[str]
    answer: str
    record: str


class OutcomeRow(TypedDict):
    """A row of `storage.schema.OUTCOMES`."""

    video_id: str
    stage: str
    status: str
    reason: str
    detail: str
    attempts: int
    seconds: float
    samples: int
