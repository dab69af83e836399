"""The one typed form every benchmark is read into.

A video is the unit of work, a clip (video, start, end) the unit of rendering; several sentences share a clip, and a
video has any number of clips. Frame indices are native to the video, 0-based; frame ranges are closed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tasks.masks import Box
from tasks.video import Source


class AnnotationError(Exception):
    """Annotations that cannot be read as what they were said to be; the message names file, record and field."""


@dataclass(frozen=True)
class Clip:
    """A stretch of a video that a model sees: seconds of the video, half-open; `end_s` None is the video's end."""

    clip_id: str
    start_s: float = 0.0
    end_s: float | None = None


@dataclass(frozen=True)
class Sample:
    """A sentence about a clip and what it means.

    Attributes:
        sample_id: unique in the benchmark.
        clip_id: the clip it speaks of.
        sentence: as annotated.
        start_s, end_s: true span in seconds of the clip.
        start_frame: first frame of the true span, of the video.
        boxes: one true box a frame from `start_frame` on, pixels, half-open; their number is the span's length.
    """

    sample_id: str
    clip_id: str
    sentence: str
    start_s: float
    end_s: float
    start_frame: int
    boxes: tuple[Box, ...]

    @property
    def end_frame(self) -> int:
        """Last frame of the true span."""
        return self.start_frame + len(self.boxes) - 1


@dataclass(frozen=True)
class VideoJob:
    """Everything wanted of one video."""

    source: Source
    clips: tuple[Clip, ...]
    samples: tuple[Sample, ...] = ()


@dataclass(frozen=True)
class Benchmark:
    """Annotations read: one job a video, by video ID, and what was read, mended and left out, counted by reason."""

    jobs: Sequence[VideoJob]
    records: Mapping[str, int] = field(default_factory=dict)


def videos_below(folder: Path, suffixes: frozenset[str]) -> dict[str, Path]:
    """Files below `folder` with one of `suffixes`: path relative to it -> file. Links that lead out are left out.

    Raises:
        AnnotationError: there is no such folder.
    """
    if not folder.is_dir():
        raise AnnotationError(f"there is no folder of videos '{folder}'")
    root = folder.resolve()
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in suffixes and p.is_file())
    return {p.relative_to(folder).as_posix(): p for p in files if p.resolve().is_relative_to(root)}
