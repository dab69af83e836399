"""Types of benchmarks: clips, targets, samples, and the jobs of videos.

A video is the unit of work, a clip (video, start, end) the unit of rendering. Several sentences share a clip, and a video has
any number of clips. Frame indices are native to the video, 0-based; frame ranges are closed. Seconds are half-open.
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
    """Annotations in an unexpected format; the message names file, record and field."""


class Task(StrEnum):
    """Task of a sample, by its expected output."""

    SPATIO_TEMPORAL = "spatio-temporal"
    """An object and a time span."""
    SPATIAL = "spatial"
    """An object; the time span is given."""
    TEMPORAL = "temporal"
    """A time span."""
    SEGMENTATION = "segmentation"
    """Masks of one or more objects."""
    QUESTION = "question"
    """An answer as text or as the letter of an option."""

    @property
    def needs_objects(self) -> bool:
        """Whether the task requires a video with tracked objects."""
        return self not in {Task.TEMPORAL, Task.QUESTION}


@dataclass(frozen=True)
class Clip:
    """A section of a video that is one model input.

    Attributes:
        clip_id: ID, unique in the benchmark.
        start_s, end_s: seconds of the video, half-open; `end_s` None is the video's end.
        frames: first and last native frame, closed, if the annotations count frames; they take precedence over seconds.
    """

    clip_id: str
    start_s: float = 0.0
    end_s: float | None = None
    frames: tuple[int, int] | None = None

    def range_in(self, timeline: Timeline) -> range:
        """Native frames of the clip in a video; empty if the clip starts after the end of the video."""
        count = len(timeline.times_s)
        if self.frames is not None:
            return range(self.frames[0], min(self.frames[1] + 1, count))
        return timeline.frames_in(self.start_s, self.end_s)


@dataclass(frozen=True, eq=False)
class Target:
    """True location of one object.

    Attributes:
        frames: int64 (n,), native frames with a true box, ascending, with or without gaps.
        boxes: float64 (n, 4), pixels, half-open.
        counts: COCO compressed run-length codes of the masks on these frames; empty if the truth consists of boxes.
    """

    frames: NDArray[np.int64]
    boxes: NDArray[np.float64]
    counts: tuple[bytes, ...] = ()

    @classmethod
    def dense(cls, start: int, boxes: Sequence[Box]) -> Target:
        """Target with one box per frame from frame `start` on.

        Args:
            start: native frame of the first box.
            boxes: one box per consecutive frame, pixels, half-open.
        """
        return cls(np.arange(start, start + len(boxes)), np.asarray(boxes, np.float64).reshape(-1, 4))

    def box_at(self, frame: int) -> Box | None:
        """True box on a frame, annotated or interpolated; None without one."""
        filled = self.filled
        at = int(np.searchsorted(filled.frames, frame))
        if at == len(filled.frames) or filled.frames[at] != frame:
            return None
        x1, y1, x2, y2 = filled.boxes[at].tolist()
        return x1, y1, x2, y2

    @cached_property
    def filled(self) -> Target:
        """Target without masks, with boxes interpolated between neighbours of typical spacing.

        Annotations on a grid have constant spacing; the object is not visible in larger gaps.
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
        """Hex sha256 of the content."""
        return hashlib.sha256(b"".join((self.frames.tobytes(), self.boxes.tobytes(), *self.counts))).hexdigest()


@dataclass(frozen=True)
class Sample:
    """A sentence about a clip, with its truth.

    Attributes:
        sample_id: ID, unique in the benchmark.
        clip_id: ID of the clip.
        sentence: annotated sentence.
        task: task of the sample.
        start_s, end_s: true span in seconds of the clip, half-open; None where the truth is not public or has none.
        start_frame, end_frame: true span in native frames of the video, closed; None where the annotation does not count
            frames: rendering then fills them in from presentation times.
        targets: referred objects; several if an expression refers to several.
        group: group by which the benchmark splits its results, such as `declarative`.
        options: options of a question.
        answer: true answer of a question.
        record: position in the annotation file.
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
        """Content as JSON values, with targets replaced by their digests."""
        shallow = {f.name: getattr(self, f.name) for f in fields(self)}
        return {**shallow, "targets": [target.digest for target in self.targets]}


@dataclass(frozen=True)
class VideoFacts:
    """Properties of a video as stated by the annotations, for comparison with the file; None if not stated.

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
    """Work on one video: its source, its clips and its samples.

    Attributes:
        source: location of the video.
        clips: clips to render.
        samples: samples of the clips.
        facts: properties that the annotations state.
        masks: file or folder with existing masks, if masks are imported rather than tracked (`tasks.exchange.imports`).
    """

    source: Source
    clips: tuple[Clip, ...]
    samples: tuple[Sample, ...] = ()
    facts: VideoFacts = field(default_factory=VideoFacts)
    masks: Path | None = None


@dataclass(frozen=True)
class Benchmark:
    """A benchmark: one job per video, ordered by video ID, and counts of its records by reason."""

    jobs: Sequence[VideoJob]
    records: Mapping[str, int] = field(default_factory=dict)
