"""The one typed form every benchmark is read into.

A video is the unit of work, a clip (video, start, end) the unit of rendering; several sentences share a clip, and a
video has any number of clips. Frame indices are native to the video, 0-based; frame ranges are closed. Seconds are
half-open.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.common.errors import InputError
from tasks.masks.instances import Box
from tasks.video.reader import Source
from tasks.video.timeline import Timeline


class AnnotationError(InputError):
    """Annotations that cannot be read as what they were said to be; the message names file, record and field."""


class Task(StrEnum):
    """What a sample asks for."""

    SPATIO_TEMPORAL = "spatio-temporal"
    """Which object, from when to when."""
    SPATIAL = "spatial"
    """Which object; the interval is given."""
    TEMPORAL = "temporal"
    """From when to when."""
    SEGMENTATION = "segmentation"
    """The masks of one or more objects."""
    QUESTION = "question"
    """An answer in words or a letter."""

    @property
    def needs_objects(self) -> bool:
        """Whether it cannot be asked of a video in which no object was found."""
        return self not in {Task.TEMPORAL, Task.QUESTION}


@dataclass(frozen=True)
class Clip:
    """A stretch of a video that a model sees.

    Attributes:
        clip_id: unique in the benchmark.
        start_s, end_s: seconds of the video, half-open; `end_s` None is the video's end.
        frames: first and last native frame, closed, where the annotation counts frames; they then outrank the seconds.
    """

    clip_id: str
    start_s: float = 0.0
    end_s: float | None = None
    frames: tuple[int, int] | None = None

    def range_in(self, timeline: Timeline) -> range:
        """Its native frames in a video; empty if it begins after the video's end."""
        count = len(timeline.times_s)
        if self.frames is not None:
            return range(self.frames[0], min(self.frames[1] + 1, count))
        return timeline.frames_in(self.start_s, self.end_s)


@dataclass(frozen=True, eq=False)
class Target:
    """Where one object really is.

    Attributes:
        frames: int64 (n,), native frames with a true box, ascending, not necessarily each one.
        boxes: float64 (n, 4), pixels, half-open.
        counts: COCO compressed run-length codes of its masks on these frames; empty where the truth is boxes.
    """

    frames: NDArray[np.int64]
    boxes: NDArray[np.float64]
    counts: tuple[bytes, ...] = ()

    @classmethod
    def dense(cls, start: int, boxes: Sequence[Box]) -> Target:
        """One box a frame from frame `start` on.

        Args:
            start: native frame of the first box.
            boxes: one box per consecutive frame, pixels, half-open.
        """
        return cls(np.arange(start, start + len(boxes)), np.asarray(boxes, np.float64).reshape(-1, 4))

    def box_at(self, frame: int) -> Box | None:
        """The true box on a frame: as annotated, or filled in."""
        filled = self.filled
        at = int(np.searchsorted(filled.frames, frame))
        if at == len(filled.frames) or filled.frames[at] != frame:
            return None
        x1, y1, x2, y2 = filled.boxes[at].tolist()
        return x1, y1, x2, y2

    @cached_property
    def filled(self) -> Target:
        """With boxes interpolated between neighbours that are no further apart than usual, masks aside.

        Annotations on a grid have one spacing; a larger gap means that the object is out of sight.
        """
        steps = np.diff(self.frames)
        if not len(steps) or steps.max() == 1:
            return self
        every = np.arange(self.frames[0], self.frames[-1] + 1)
        right = np.maximum(np.searchsorted(self.frames, every), 1)
        near = (steps[right - 1] <= 1.5 * np.median(steps)) | np.isin(every, self.frames)
        frames = every[near]
        return Target(frames, np.stack([np.interp(frames, self.frames, side) for side in self.boxes.T], axis=1))

    @cached_property
    def digest(self) -> str:
        """Hash of its content."""
        return hashlib.sha256(b"".join((self.frames.tobytes(), self.boxes.tobytes(), *self.counts))).hexdigest()


@dataclass(frozen=True)
class Sample:
    """A sentence about a clip and what it means.

    Attributes:
        sample_id: unique in the benchmark.
        clip_id: the clip it speaks of.
        sentence: as annotated.
        task: what is asked.
        start_s, end_s: true span in seconds of the clip, half-open; None where the truth is not public or has none.
        start_frame, end_frame: true span in native frames of the video, closed; None where the annotation does not count
            frames: rendering then fills them in from presentation times.
        targets: the objects meant; more than one where an expression means several.
        group: the kind by which the benchmark's results are split, such as `declarative`.
        options: what a question offers to choose from.
        answer: a question's true answer.
        record: where it stands in the annotation file.
    """

    sample_id: str
    clip_id: str
    sentence: str
    task: Task = Task.SPATIO_TEMPORAL
    start_s: float | None = None
    end_s: float | None = None
    start_frame: int | None = None
    end_frame: int | None = None
    targets: tuple[Target, ...] = ()
    group: str = ""
    options: tuple[str, ...] = ()
    answer: str = ""
    record: str = ""

    def content(self) -> dict[str, Any]:
        """Its content as JSON values, targets by their hash."""
        shallow = {f.name: getattr(self, f.name) for f in fields(self)}
        return {**shallow, "targets": [target.digest for target in self.targets]}


@dataclass(frozen=True)
class VideoFacts:
    """What the annotations say of a video, to be held against what its file says; None is not stated.

    Attributes:
        frame_count: native frames.
        width, height: pixels.
        fps: frames per second.
        duration_s: seconds.
    """

    frame_count: int | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    duration_s: float | None = None


@dataclass(frozen=True)
class VideoJob:
    """Everything wanted of one video.

    Attributes:
        source: its pixels.
        clips: what a model is to see of it.
        samples: sentences about these.
        stated: what annotations say of it.
        masks: the file or folder that holds its masks already, where they are not to be found (`tasks.exchange.imports`).
    """

    source: Source
    clips: tuple[Clip, ...]
    samples: tuple[Sample, ...] = ()
    facts: VideoFacts = field(default_factory=VideoFacts)
    masks: Path | None = None


@dataclass(frozen=True)
class Benchmark:
    """Annotations read: one job a video, by video ID, and what was read, mended and left out, counted by reason."""

    jobs: Sequence[VideoJob]
    records: Mapping[str, int] = field(default_factory=dict)
