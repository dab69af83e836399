"""Frames of a file by PyAV, by index, in presentation order.

Frame k is the k-th that a sequential decode gives. Where a container states the time of every frame, random access seeks to a
key frame and identifies what it decodes by time; elsewhere it decodes from the start.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.video.diagnosis import VideoError, VideoNote
from tasks.video.frame_index import index_frames, open_stream
from tasks.video.scaling import Scaler
from tasks.video.timeline import Timeline

_SKIPPING = frozenset({"h264", "hevc"})
"""Decoders that leave out single frames on request without delay."""


def _decode(container: Any, stream: Any) -> Iterator[Any]:
    """Frames in presentation order up to the first damage."""
    import av

    try:
        yield from container.decode(stream)
    except av.FFmpegError:
        return


class StreamReader:
    """Frames of a file by index. Holds one open decoder and at most one decoded frame beyond those it returns."""

    def __init__(self, path: Path, size: tuple[int, int] | None = None, threads: int = 1) -> None:
        """Index the file.

        Args:
            path: video file on this machine.
            size: (width, height) in pixels that frames are scaled to; None keeps their own.
            threads: decoder threads.

        Raises:
            VideoError: the file holds no frame.
        """
        self._path, self._threads = path, threads
        self._image = Scaler(size)
        self.index = index_frames(path)
        self._container: Any = None
        self._frames: Iterator[tuple[int, Any]] = iter(())
        self._next = -1
        self._targets: frozenset[int] = frozenset()
        self._last_target = -1

    def __len__(self) -> int:
        return len(self.index.timeline.times_s)

    @property
    def notes(self) -> tuple[VideoNote, ...]:
        """Remarks on times, streams and pixels of the file."""
        return self.index.notes

    def timeline(self) -> Timeline:
        """Presentation times of all frames."""
        return self.index.timeline

    def get(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """Decode frames.

        Args:
            indices: 0-based frame indices in any order; ascending is fastest.

        Returns:
            uint8 (len(indices), height, width, 3), RGB.

        Raises:
            VideoError: the stream breaks off before one of them.
        """
        ordered = sorted(set(map(int, indices)))
        images = {index: self._image(frame) for index, frame in self._decoded(ordered)}
        if missing := [index for index in ordered if index not in images]:
            raise VideoError("damaged", f"frame {missing[0]} of {self._path.name} cannot be decoded")
        return np.stack([images[int(index)] for index in indices])

    def close(self) -> None:
        """Close the decoder."""
        if self._container is not None:
            self._container.close()
            self._container = None
        self._next = -1

    def _decoded(self, targets: Sequence[int]) -> Iterator[tuple[int, Any]]:
        """Decoded frames of ascending targets; those that the stream does not yield are left out."""
        self._name_targets(targets)
        for target in targets:
            if (frame := self._frame_at(target)) is not None:
                yield target, frame

    def _name_targets(self, targets: Sequence[int]) -> None:
        """Let the decoder skip frames before the last target that no other frame refers to."""
        if self.index.pts is None or not targets:
            return
        self._targets = frozenset(self.index.pts[list(targets)].tolist())
        self._last_target = int(self.index.pts[targets[-1]])

    def _frame_at(self, target: int) -> Any:
        """The decoded frame; decoding starts from its key frame where it was passed or skipped before."""
        for _ in range(2):
            self._go_to(target)
            for index, frame in self._frames:
                self._next = index + 1
                if index == target:
                    return frame
                if index > target:
                    break
            self._next = -1
        return None

    def _key_before(self, index: int) -> int:
        return self.index.keys[bisect_right(self.index.keys, index) - 1]

    def _go_to(self, index: int) -> None:
        """Have the decoder before a frame: continue if no key frame is nearer, else start from the key frame."""
        key = self._key_before(index)
        if 0 <= self._next <= index and key < self._next + 1:
            return
        self.close()
        self._container, stream = open_stream(self._path)
        stream.thread_count, stream.thread_type = self._threads, "AUTO"
        if key and self.index.pts is not None:
            self._container.seek(int(self.index.pts[key]), stream=stream, backward=True)
        self._frames, self._next = self._numbered(stream, key), key

    def _numbered(self, stream: Any, key: int) -> Iterator[tuple[int, Any]]:
        """Decoded frames from a key frame on, each with its index."""
        pts = self.index.pts
        if pts is None:
            yield from enumerate(_decode(self._container, stream))
            return
        for frame in self._unskipped(stream):
            place = int(np.searchsorted(pts, frame.pts)) if frame.pts is not None else len(pts)
            # Frames before the key frame may refer to ones that were not decoded: they are not used.
            if place < len(pts) and pts[place] == frame.pts and place >= key:
                yield place, frame

    def _unskipped(self, stream: Any) -> Iterator[Any]:
        """Decode, without the frames before the last target that are neither targets nor referred to by others."""
        import av

        may_skip = stream.codec_context.name in _SKIPPING
        try:
            for packet in self._container.demux(stream):
                if may_skip:
                    skipped = packet.pts is not None and packet.pts < self._last_target and packet.pts not in self._targets
                    stream.codec_context.skip_frame = "NONREF" if skipped else "DEFAULT"
                yield from packet.decode()
        except av.FFmpegError:
            return
