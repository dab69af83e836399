"""Samples and tubes of a published dataset as arrays, one video at a time, for scoring and quality measurement."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.reader import Dataset
from storage.scan import Scan
from tasks.benchmarks.question_rules import QuestionRule, stored_rule
from tasks.benchmarks.samples import Target, Task
from tasks.video.reader import Source
from tasks.video.timeline import Timeline

_VIDEO = ["times_s", "duration_s", "width", "height"]
_MASKS = ["frame_index", "object_id", "x1", "y1", "x2", "y2"]
_CLIPS = ["clip_id", "start_s", "first_frame", "last_frame"]
_SPAN = ["start_s", "end_s", "start_frame", "end_frame"]
_SAMPLES = ["sample_id", "clip_id", "task", "group", *_SPAN, "targets", "answer_ids", "answer", "record"]


@dataclass(frozen=True)
class StoredSample:
    """A row of the samples table.

    Attributes:
        span_s: true span, seconds of the clip, half-open; None without truth.
        span: true span, native frames, closed; None without truth or without duration.
        question: scoring rule of the answer, for the task question.
        clip_start_s: start of the clip, seconds of the video.
        clip: native frames of the clip, closed; None if the clip is outside the video.
    """

    sample_id: str
    clip_id: str
    task: Task
    group: str
    span_s: tuple[float, float] | None
    span: tuple[int, int] | None
    targets: tuple[Target, ...]
    answer_ids: tuple[int, ...]
    answer: str
    question: QuestionRule
    clip_start_s: float
    clip: tuple[int, int] | None


@dataclass(frozen=True)
class StoredVideo:
    """A video with its instances, one row per object and frame, sorted by frame and object.

    Attributes:
        frames: int64 (n,), native frame of each row.
        objects: int64 (n,), object ID of each row.
        boxes: float64 (n, 4), pixels, half-open.
        extra: additional columns by name; names are encoded as integers.
    """

    video_id: str
    size: tuple[int, int]
    timeline: Timeline
    frames: NDArray[np.int64]
    objects: NDArray[np.int64]
    boxes: NDArray[np.float64]
    extra: Mapping[str, NDArray[np.int64]]
    samples: tuple[StoredSample, ...]

    def tube(self, object_id: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Frames and boxes of one object over the whole video."""
        rows = np.flatnonzero(self.objects == object_id)
        return self.frames[rows], self.boxes[rows]


def stored_videos(dataset: Dataset, extra: tuple[str, ...] = ()) -> Iterator[StoredVideo]:
    """Videos with samples, in order, with memory use independent of their number.

    Args:
        dataset: a published dataset.
        extra: additional integer or name columns of the masks table.
    """
    with (
        Scan(dataset, "videos", _VIDEO, _timelines) as videos,
        Scan(dataset, "masks", [*_MASKS, *extra], partial(_instances, extra=extra)) as masks,
        Scan(dataset, "clips", _CLIPS, pa.Table.to_pylist) as clips,
        Scan(dataset, "samples", _SAMPLES, _sample_rows) as samples,
    ):
        for video_id in dataset.video_ids("samples"):
            timelines, [row] = videos.find(video_id)
            instances, at = masks.find(video_id)
            numbers, boxes = instances[0][at.start : at.stop], instances[1][at.start : at.stop]
            clip_rows = {clip["clip_id"]: clip for clip in _rows_at(*clips.find(video_id))}
            size, timeline = timelines[row]
            yield StoredVideo(
                video_id=video_id,
                size=size,
                timeline=timeline,
                frames=numbers[:, 0],
                objects=numbers[:, 1],
                boxes=boxes,
                extra={name: numbers[:, 2 + k] for k, name in enumerate(extra)},
                samples=tuple(_sample(s, clip_rows[s["clip_id"]]) for s in _rows_at(*samples.find(video_id))),
            )


def source_of(dataset: Dataset, video_id: str) -> Source:
    """Location of a video when it was tracked; for a folder of JPEGs, with its frame rate.

    Args:
        dataset: a published dataset.
        video_id: ID of the video, its path below the videos folder.

    Raises:
        DatasetError: there is no such video.
    """
    path = dataset.source(video_id)
    fps: float = dataset.rows("videos", video_id, ["fps"]).column(0)[0].as_py()
    return Source(video_id, path, fps if isinstance(path, Path) and path.is_dir() else None)


def timeline_of(dataset: Dataset, video_id: str) -> Timeline:
    """Presentation times of the native frames of a video.

    Args:
        dataset: a published dataset.
        video_id: ID of the video, its path below the videos folder.

    Raises:
        DatasetError: there is no such video.
    """
    [row] = dataset.rows("videos", video_id, ["times_s", "duration_s"]).to_pylist()
    return Timeline(np.asarray(row["times_s"], np.float64), row["duration_s"])


def lost_samples(dataset: Dataset) -> dict[str, int]:
    """Video without rows -> number of its samples."""
    published = set(dataset.video_ids("samples"))
    rows = (row for row in dataset.outcomes.to_pylist() if row["video_id"] not in published)
    return {row["video_id"]: row["samples"] for row in rows if row["samples"]}


def has_truth(dataset: Dataset, tasks: Collection[Task]) -> bool:
    """Whether any sample of these tasks has a truth to score against.

    Args:
        dataset: a published dataset.
        tasks: tasks whose samples count.
    """
    truths = ["start_s", "start_frame", "answer"]
    rows = dataset.table("samples", ["task", *truths]).to_pylist()
    return any(row[truth] not in {None, ""} for row in rows if row["task"] in tasks for truth in truths)


def _rows_at(rows: list[dict[str, Any]], at: range) -> list[dict[str, Any]]:
    return rows[at.start : at.stop]


def _timelines(rows: pa.Table) -> list[tuple[tuple[int, int], Timeline]]:
    durations, widths, heights = (rows.column(name).to_pylist() for name in ("duration_s", "width", "height"))
    times = _split(rows.column("times_s"), np.float64)
    return [((w, h), Timeline(t, d)) for t, d, w, h in zip(times, durations, widths, heights, strict=True)]


def _instances(rows: pa.Table, extra: tuple[str, ...]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Integers (n, 2 + extra): frame, object, extra columns; and boxes (n, 4)."""
    numbers = np.stack([column_numbers(rows, name) for name in (*_MASKS[:2], *extra)], axis=1)
    return numbers, np.stack([column_numbers(rows, name) for name in _MASKS[2:]], axis=1).astype(np.float64)


def column_numbers(rows: pa.Table, name: str) -> NDArray[np.int64]:
    """Values of an integer column without nulls, or integer codes of a name column.

    Args:
        rows: rows of a table.
        name: column of integers or of dictionary-encoded names.
    """
    column = rows.column(name).combine_chunks()
    codes = column.indices if pa.types.is_dictionary(column.type) else column
    # Not to_numpy, which imports pandas: that alone takes a second.
    return np.from_dlpack(codes).astype(np.int64)


def _sample_rows(rows: pa.Table) -> list[dict[str, Any]]:
    samples: list[dict[str, Any]] = rows.drop_columns(["targets"]).to_pylist()
    lists = rows.column("targets").combine_chunks()
    targets = _targets(lists.flatten())
    ends = np.cumsum([0, *lists.value_lengths().to_pylist()])
    for row, start, stop in zip(samples, ends[:-1], ends[1:], strict=True):
        row["targets"] = tuple(targets[start:stop])
    return samples


def _targets(values: pa.StructArray) -> list[Target]:
    frames, boxes, counts = values.flatten()
    places = _split(frames, np.int64)
    corners = np.from_dlpack(boxes.flatten().flatten()).astype(np.float64).reshape(-1, 4)
    ends = np.cumsum([0, *(len(place) for place in places)])
    codes = counts.to_pylist()
    return [Target(f, corners[ends[n] : ends[n + 1]], tuple(codes[n])) for n, f in enumerate(places)]


def _split(lists: pa.ListArray | pa.ChunkedArray, kind: type[Any]) -> list[NDArray[Any]]:
    """A column of lists of numbers as one array per row."""
    column = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
    values = np.from_dlpack(column.flatten()).astype(kind)
    ends = np.cumsum([0, *column.value_lengths().to_pylist()])
    return [values[ends[n] : ends[n + 1]] for n in range(len(column))]


def _sample(row: dict[str, Any], clip: dict[str, Any]) -> StoredSample:
    return StoredSample(
        sample_id=row["sample_id"],
        clip_id=row["clip_id"],
        task=Task(row["task"]),
        group=row["group"],
        span_s=_pair(row["start_s"], row["end_s"]),
        span=_pair(row["start_frame"], row["end_frame"]),
        targets=row["targets"],
        answer_ids=tuple(row["answer_ids"]),
        answer=row["answer"],
        question=stored_rule(row["record"], row["group"]),
        clip_start_s=clip["start_s"],
        clip=_pair(clip["first_frame"], clip["last_frame"]),
    )


def _pair(first: Any, last: Any) -> tuple[Any, Any] | None:
    return None if first is None or last is None else (first, last)
