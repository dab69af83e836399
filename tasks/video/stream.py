"""Video streams of files by PyAV: an index of frames by presentation time, and frames decoded in that order.

Frame k is the k-th that a sequential decode gives. Where a container states the time of every frame, random access seeks to a
key frame and identifies what it decodes by time; elsewhere it decodes from the start.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.video.diagnosis import VideoError
from tasks.video.timeline import Timeline

MIN_SIDE_PX = 32
"""Shorter side of the smallest usable frame, pixels."""
_INDEXED = ("mov", "mp4", "matroska", "webm")
"""Containers whose index gives exact seeks and a time for each frame."""
_SKIPPING = frozenset({"h264", "hevc"})
"""Decoders that leave out single frames on request without delay."""
_MOST_SECONDS = 24 * 3600.0
"""A longer step from one frame to the next is absurd."""


@dataclass(frozen=True)
class FrameIndex:
    """Frames of a stream in presentation order.

    Attributes:
        pts: int64 (n,), presentation time of each frame in ticks, strictly increasing; None where the container does not give
            every frame a time of its own, so that frames are identified by their order alone.
        keys: frame indices of the key frames that decoding may start from, ascending; 0 alone where seeks are not exact.
        timeline: seconds of each frame.
        note: what was replaced in the container's times; empty for nothing.
    """

    pts: NDArray[np.int64] | None
    keys: tuple[int, ...]
    timeline: Timeline
    note: str = ""


def open_stream(path: Path) -> tuple[Any, Any]:
    """Open a file; (container, its video stream of the largest picture, the first of equals, as FFmpeg chooses it).

    Raises:
        VideoError: the container holds no video stream.
    """
    import av

    container = av.open(str(path))
    streams = [stream for stream in container.streams.video if not stream.disposition & av.stream.Disposition.attached_pic]
    if not streams or any(stream.codec_context is None for stream in streams):
        container.close()
        raise VideoError("unsupported_codec" if streams else "no_video_stream", path.name)
    best = max(streams, key=lambda stream: stream.codec_context.width * stream.codec_context.height)
    sides = best.codec_context.width, best.codec_context.height
    if 0 < min(sides) < MIN_SIDE_PX:
        container.close()
        raise VideoError("too_small", f"{path.name} ({sides[0]}x{sides[1]} pixels)")
    return container, best


def index_frames(path: Path) -> FrameIndex:
    """Index a file: from its packets where each states its time, else by decoding it once.

    Args:
        path: video file on this machine.

    Raises:
        VideoError: the stream holds no frame.
    """
    container, stream = open_stream(path)
    with container:
        if any(name in _INDEXED for name in container.format.name.split(",")) and (index := _packet_index(container, stream)):
            return index
    container, stream = open_stream(path)
    with container:
        return _decoded_index(container, stream, path.name)


def _packet_index(container: Any, stream: Any) -> FrameIndex | None:
    """The index by packets; None where a packet has no time of its own or the first is no key frame."""
    packets = [(p.pts, bool(p.is_keyframe), p.duration or 0) for p in container.demux(stream) if p.size and not p.is_discard]
    if not packets or any(pts is None for pts, _, _ in packets) or not packets[0][1]:
        return None
    ordered = sorted(packets)
    pts = np.array([each[0] for each in ordered], np.int64)
    if len(pts) > 1 and int(np.diff(pts).min()) <= 0:
        return None
    keys = tuple(number for number, each in enumerate(ordered) if each[1])
    return FrameIndex(pts, keys, _timeline((pts * float(stream.time_base)).tolist(), ordered[-1][2], stream))


def _decoded_index(container: Any, stream: Any, name: str) -> FrameIndex:
    """The index by a sequential decode, whose times are completed where they are missing, absurd or not increasing."""
    import av

    ticks: list[int | None] = []
    last = 0
    try:
        for frame in container.decode(stream):
            ticks.append(frame.pts)
            last = frame.duration or 0
    except av.FFmpegError as error:
        raise VideoError("truncated", name) from error
    if not ticks:
        raise VideoError("no_frames", name)
    known = sorted({pts for pts in ticks if pts is not None})
    if len(known) == len(ticks):  # AVI states decoding times: the same ones, in another order
        times: list[float | None] = [pts * float(stream.time_base) for pts in known]
    else:
        times = [None if pts is None else pts * float(stream.time_base) for pts in ticks]
    completed = _completed(times, 1 / _rate(stream))
    note = "" if completed == times else "missing or repeated frame times were replaced by the stated frame rate"
    return FrameIndex(None, (0,), _timeline(completed, last, stream), note)


def _completed(times: Sequence[float | None], step_s: float) -> list[float]:
    """Strictly increasing times: those that are missing, absurd or not above all before them are spread between the others."""
    trusted: list[int] = []
    values: list[float] = []
    for number, time in enumerate(times):
        if time is not None and (not values or values[-1] < time < values[-1] + _MOST_SECONDS):
            trusted.append(number)
            values.append(time)
    if not values:
        return [number * step_s for number in range(len(times))]
    inner = np.interp(np.arange(len(times)), trusted, values)
    before, after = trusted[0], trusted[-1]
    return [float(inner[n]) + min(0, n - before) * step_s + max(0, n - after) * step_s for n in range(len(times))]


def _rate(stream: Any) -> float:
    return float(stream.average_rate or stream.guessed_rate or 25)


def _timeline(times: Sequence[float], last: int, stream: Any) -> Timeline:
    starts_s = np.array(times, np.float64) - times[0]
    return Timeline(starts_s, float(starts_s[-1]) + (last * float(stream.time_base) or 1 / _rate(stream)))


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
        self._path, self._size, self._threads = path, size, threads
        self.index = index_frames(path)
        self._container: Any = None
        self._frames: Iterator[tuple[int, Any]] = iter(())
        self._next = -1
        self._targets: frozenset[int] = frozenset()
        self._last_target = -1

    def __len__(self) -> int:
        return len(self.index.timeline.times_s)

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

    def _image(self, frame: Any) -> NDArray[np.uint8]:
        rotation = int(getattr(frame, "rotation", 0) or 0) % 360
        size = self._size
        if size is not None and rotation in {90, 270}:
            size = size[::-1]
        options = {} if size is None else {"width": size[0], "height": size[1]}
        image: NDArray[np.uint8] = frame.to_ndarray(format="rgb24", **options)
        return np.ascontiguousarray(np.rot90(image, rotation // 90)) if rotation else image
