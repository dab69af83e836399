"""A published dataset's sentences and tubes as arrays, a video at a time: what scoring and quality are computed from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.reader import Dataset
from storage.scan import Scan
from tasks.datasets.base import Target, Task
from tasks.video import Timeline

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
        span: true span, native frames, closed; None without truth, or where it has no length.
        clip_start_s: when its clip starts, seconds of the video.
        clip: native frames of its clip, closed; None if the clip lies outside the video.
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
    record: str
    clip_start_s: float
    clip: tuple[int, int] | None


@dataclass(frozen=True)
class StoredVideo:
    """A video with its instances, one row an object a frame, sorted by frame and object.

    Attributes:
        frames: int64 (n,), native frame of each row.
        objects: int64 (n,), object ID of each row.
        boxes: float64 (n, 4), pixels, half-open.
        extra: further columns that were asked for.
    """

    video_id: str
    size: tuple[int, int]
    timeline: Timeline
    frames: NDArray[np.int64]
    objects: NDArray[np.int64]
    boxes: NDArray[np.float64]
    extra: pa.Table
    samples: tuple[StoredSample, ...]

    def tube(self, object_id: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Frames and boxes of one object over the whole video."""
        rows = np.flatnonzero(self.objects == object_id)
        return self.frames[rows], self.boxes[rows]


def stored_videos(dataset: Dataset, extra: tuple[str, ...] = ()) -> Iterator[StoredVideo]:
    """Videos that have sentences, in order; memory does not grow with their number.

    Args:
        dataset: what to read.
        extra: further columns of the masks table.
    """
    videos, masks = Scan(dataset, "videos", _VIDEO), Scan(dataset, "masks", [*_MASKS, *extra])
    clips, samples = Scan(dataset, "clips", _CLIPS), Scan(dataset, "samples", _SAMPLES)
    for video_id in dataset.video_ids("samples"):
        video, rows = videos.rows(video_id), masks.rows(video_id)
        [times], [duration_s], [width], [height] = (video.column(name).combine_chunks() for name in _VIDEO)
        timeline = Timeline(times.values.to_numpy(zero_copy_only=False), duration_s.as_py())
        frames, objects, *sides = (rows.column(name).to_numpy().astype(np.int64) for name in _MASKS)
        boxes = np.stack(sides, axis=1).astype(np.float64)
        said = tuple(_samples(samples.rows(video_id), clips.rows(video_id)))
        yield StoredVideo(video_id, (width.as_py(), height.as_py()), timeline, frames, objects, boxes, rows, said)


def _samples(rows: pa.Table, clips: pa.Table) -> Iterator[StoredSample]:
    starts = {clip["clip_id"]: clip for clip in clips.to_pylist()}
    targets = rows.column("targets").combine_chunks()
    for number, row in enumerate(rows.drop_columns(["targets"]).to_pylist()):
        clip = starts[row["clip_id"]]
        yield StoredSample(
            sample_id=row["sample_id"],
            clip_id=row["clip_id"],
            task=Task(row["task"]),
            group=row["group"],
            span_s=_pair(row["start_s"], row["end_s"]),
            span=_pair(row["start_frame"], row["end_frame"]),
            targets=_targets(targets[number].values),
            answer_ids=tuple(row["answer_ids"]),
            answer=row["answer"],
            record=row["record"],
            clip_start_s=clip["start_s"],
            clip=_pair(clip["first_frame"], clip["last_frame"]),
        )


def _pair(first: Any, last: Any) -> tuple[Any, Any] | None:
    return None if first is None or last is None else (first, last)


def _targets(values: pa.StructArray | None) -> tuple[Target, ...]:
    if values is None:
        return ()
    frames, boxes, counts = (values.field(name) for name in ("frames", "boxes", "counts"))
    return tuple(
        Target(
            frames[i].values.to_numpy(zero_copy_only=False).astype(np.int64),
            boxes[i].values.flatten().to_numpy(zero_copy_only=False).reshape(-1, 4),
            tuple(counts[i].as_py()),
        )
        for i in range(len(values))
    )
