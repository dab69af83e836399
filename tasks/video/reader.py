"""Video reader: frames by index, presentation times, and a reason code for each kind of unusable file.

Frame indices are 0-based in presentation order. Times are seconds since the first frame of the video.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from storage.folders.cache import RemoteFile, cached_copy
from tasks.video.decord_reader import DecordReader
from tasks.video.diagnosis import VideoError, VideoNote, diagnose, is_truncated_mp4
from tasks.video.images import ImageFolderReader
from tasks.video.stream import StreamReader
from tasks.video.timeline import Timeline

Frames = NDArray[np.uint8]

VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".avi", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv"})

MAX_FRAME_COUNT = 10_000_000
"""Upper bound for frame counts and indices: 46 hours at 60 frames per second. Larger numbers in a file are errors."""


@dataclass(frozen=True)
class Source:
    """Location of a video: a video file, or a folder of JPEGs with a frame rate.

    Attributes:
        video_id: unique within a dataset; the path below the videos folder, with its suffix.
        path: file or folder, or a file in an object store, which `local_source` fetches.
        fps: frames per second of a JPEG folder; None for video files, which store their own times.
        unusable: reason of `tasks.video.diagnosis.REASONS` for which the file is not opened; empty for none.
    """

    video_id: str
    path: Path | RemoteFile
    fps: float | None = None
    unusable: str = ""


@contextmanager
def local_source(source: Source) -> Iterator[Source]:
    """The source on the local disk for the duration of the block: itself, or its cached copy.

    Raises:
        VideoError: the file does not exist, or cannot be used.
        StoreError: the object store cannot be read.
    """
    if source.unusable:
        raise VideoError(source.unusable, source.video_id)
    with ExitStack() as stack:
        if isinstance(source.path, RemoteFile):
            try:
                source = replace(source, path=stack.enter_context(cached_copy(source.path)))
            except FileNotFoundError:
                raise VideoError("missing", str(source.path)) from None
        yield source


class Reader(Protocol):
    """Decoder of frames of a file, or of a folder of images."""

    @property
    def notes(self) -> tuple[VideoNote, ...]:
        """Remarks on the file."""
        ...

    def __len__(self) -> int: ...
    def get(self, indices: Sequence[int]) -> Frames:
        """RGB frames, uint8 (n, height, width, 3)."""
        ...

    def timeline(self) -> Timeline:
        """Presentation times of all frames."""
        ...


class Video:
    """An opened video. It caches no frames: `frames` and `windows` decode on demand."""

    def __init__(self, source: Source, path: Path, reader: Reader) -> None:
        self.source = source
        self._path = path
        self.reader = reader
        self.height, self.width = reader.get([0]).shape[1:3]

    def with_reader(self, reader: Reader) -> Video:
        """The video with another reader of its file."""
        return Video(self.source, self._path, reader)

    @property
    def notes(self) -> tuple[VideoNote, ...]:
        """Remarks on the file."""
        return self.reader.notes

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.reader)

    @cached_property
    def timeline(self) -> Timeline:
        """Presentation times of all frames."""
        return self.reader.timeline()

    def frames(self, indices: Sequence[int]) -> Frames:
        """Decode frames.

        Args:
            indices: 0-based frame indices, ascending for speed.

        Returns:
            uint8 (len(indices), height, width, 3), RGB.

        Raises:
            VideoError: the file is truncated or cannot be decoded at one of the frames.
        """
        try:
            return self.reader.get(indices)
        except (VideoError, MemoryError):
            raise
        except Exception as error:
            raise diagnose(self._path, error) from error

    def windows(self, start: int, stop: int, size: int = 16) -> Iterator[tuple[int, Frames]]:
        """Yield (first index, frames) over [start, stop) in windows of `size`, or backward if stop < start.

        A backward iteration over (stop, start] yields the last window first; frames within a window are ascending.

        Args:
            start: first native frame index.
            stop: frame index after the last; below `start` for a backward walk, then the index before the first.
            size: frames per window, at least 1.
        """
        if stop >= start:
            for first in range(start, stop, size):
                yield first, self.frames(range(first, min(first + size, stop)))
        else:
            for last in range(start, stop, -size):
                first = max(last - size + 1, stop + 1)
                yield first, self.frames(range(first, last + 1))


Backend = Literal["pyav", "decord"]
"""Decoder of video files; `decord` reads forward alone."""


def open_video(source: Source, size: tuple[int, int] | None = None, threads: int = 1, backend: Backend = "pyav") -> Video:
    """Open a video.

    Args:
        source: a video file or a folder of JPEGs on the local disk.
        size: (width, height) in pixels to which frames are scaled while decoding; None keeps the native size.
        threads: decoder threads.
        backend: decoder of a video file.

    Raises:
        VideoError: the video cannot be used; `reason` is one of `tasks.video.diagnosis.REASONS`.
    """
    path = source.path
    assert isinstance(path, Path), "remote files are opened through local_source"
    if path.is_dir():
        if source.fps is None:
            raise VideoError("no_fps", f"{path} is a folder of images: set its frames per second")
        return Video(source, path, ImageFolderReader(path, source.fps, size))
    if is_truncated_mp4(path):
        raise VideoError("truncated", f"{path.name} ends within its last box")
    try:
        reader: Reader = (DecordReader if backend == "decord" else StreamReader)(path, size, threads)
        return Video(source, path, reader)
    except VideoError:
        raise
    except Exception as error:
        raise diagnose(path, error) from error
