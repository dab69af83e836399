"""Reading video: frames by index, presentation times, and a named reason for each way a file can be bad.

Frame indices are 0-based in presentation order. Times are seconds since the first frame of the video.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from storage.common.environment import set_defaults
from storage.folders.cache import RemoteFile, cached_copy
from tasks.video.diagnosis import VideoError, diagnose, is_truncated_mp4
from tasks.video.timeline import Timeline

Frames = NDArray[np.uint8]

VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".avi", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv"})
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg"})

MOST_FRAMES = 10_000_000
"""No video has more: 46 hours at 60 frames a second. A larger number is damage, and what it would make is not built."""


@dataclass(frozen=True)
class Source:
    """Where a video's pixels are: a video file, or a folder of JPEGs shown at a stated rate.

    Attributes:
        video_id: unique within a dataset; the path below the videos folder, with its suffix.
        path: the file or folder; or a file in an object store, which `local_source` brings here.
        fps: frames per second of a JPEG folder; None for files, which carry their own times.
    """

    video_id: str
    path: Path | RemoteFile
    fps: float | None = None


@contextmanager
def local_source(source: Source) -> Iterator[Source]:
    """The source on this machine's disk for the length of the block: itself, or its cached copy.

    Raises:
        VideoError: it is not there.
        StoreError: it cannot be read from where it is.
    """
    with ExitStack() as stack:
        if isinstance(source.path, RemoteFile):
            try:
                source = replace(source, path=stack.enter_context(cached_copy(source.path)))
            except FileNotFoundError:
                raise VideoError("missing", str(source.path)) from None
        yield source


class Reader(Protocol):
    """What decodes frames: decord for files, OpenCV for JPEG folders."""

    def __len__(self) -> int: ...
    def get(self, indices: Sequence[int]) -> Frames:
        """RGB frames, uint8 (n, height, width, 3)."""
        ...

    def timeline(self) -> Timeline:
        """Presentation times of all frames."""
        ...


class Video:
    """An opened video. Holds no frames: `frames` and `windows` decode what is asked for, when it is asked for."""

    def __init__(self, source: Source, path: Path, reader: Reader) -> None:
        self.source = source
        self._path = path
        self._reader = reader
        self.height, self.width = reader.get([0]).shape[1:3]

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._reader)

    @cached_property
    def timeline(self) -> Timeline:
        """Presentation times of all frames."""
        return self._reader.timeline()

    def frames(self, indices: Sequence[int]) -> Frames:
        """Decode frames.

        Args:
            indices: 0-based frame indices, ascending for speed.

        Returns:
            uint8 (len(indices), height, width, 3), RGB.

        Raises:
            VideoError: the file breaks off or cannot be decoded there.
        """
        try:
            return self._reader.get(indices)
        except (VideoError, MemoryError):
            raise
        except Exception as error:
            raise diagnose(self._path, error) from error

    def windows(self, start: int, stop: int, size: int = 16) -> Iterator[tuple[int, Frames]]:
        """Yield (first index, frames) over [start, stop) in windows of `size`; backward when stop < start.

        A backward walk over (stop, start] yields its windows last first; frames inside a window stay ascending.

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


class _DecordReader:
    def __init__(self, path: Path, size: tuple[int, int] | None, threads: int) -> None:
        set_defaults({"DECORD_EOF_RETRY_MAX": "2048"})
        import decord

        width, height = size or (-1, -1)
        self._reader: Any = decord.VideoReader(str(path), width=width, height=height, num_threads=threads)

    def __len__(self) -> int:
        return len(self._reader)

    def get(self, indices: Sequence[int]) -> Frames:
        frames: Frames = self._reader.get_batch(list(indices)).asnumpy()
        return frames

    def timeline(self) -> Timeline:
        spans = np.asarray(self._reader.get_frame_timestamp(range(len(self))), dtype=np.float64)
        return Timeline(spans[:, 0] - spans[0, 0], float(spans[-1, 1] - spans[0, 0]))


class _FolderReader:
    def __init__(self, path: Path, fps: float, size: tuple[int, int] | None) -> None:
        self._files = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
        self._fps, self._size = fps, size
        if not self._files:
            raise VideoError("no_frames", f"{path} holds no JPEG")
        for file in self._files:
            if file.is_symlink() and not file.resolve().is_relative_to(path.resolve()):
                raise VideoError("leads_out", f"{file.name} in {path}")

    def __len__(self) -> int:
        return len(self._files)

    def get(self, indices: Sequence[int]) -> Frames:
        return np.stack([self._read(self._files[i]) for i in indices])

    def _read(self, path: Path) -> Frames:
        import cv2

        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            raise VideoError("unreadable_frame", f"{path.name} in {path.parent} is not a readable JPEG")
        if self._size is not None:
            image = cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)

    def timeline(self) -> Timeline:
        return Timeline(np.arange(len(self)) / self._fps, len(self) / self._fps)


def open_video(source: Source, size: tuple[int, int] | None = None, threads: int = 1) -> Video:
    """Open a source.

    Args:
        source: a video file or a folder of JPEGs, on this machine.
        size: (width, height) in pixels that frames are scaled to while decoding; None keeps their own.
        threads: decoder threads.

    Raises:
        VideoError: its `reason` is one of `tasks.video.diagnosis.REASONS`.
    """
    path = source.path
    assert isinstance(path, Path), "an object is opened by its copy at hand"
    if path.is_dir():
        if source.fps is None:
            raise VideoError("no_fps", f"{path} is a folder of images: state its frames per second")
        return Video(source, path, _FolderReader(path, source.fps, size))
    if is_truncated_mp4(path):
        raise VideoError("truncated", f"{path.name} breaks off before its last box ends")
    try:
        return Video(source, path, _DecordReader(path, size, threads))
    except Exception as error:
        raise diagnose(path, error) from error
