"""Frame index of a video file by PyAV: presentation time of each frame, and key frames that decoding may start from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.video.diagnosis import VideoError, VideoNote
from tasks.video.timeline import Timeline

MIN_SIDE_PX = 32
"""Shorter side of the smallest usable frame, pixels."""
_INDEXED = ("mov", "mp4", "matroska", "webm")
"""Containers whose index gives exact seeks and a time for each frame."""
_LEAST_INTACT = 0.5
"""Share of the stated frames that must be decoded before damage; of containers without an index."""
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
        notes: remarks on the container's times, streams and pixels.
    """

    pts: NDArray[np.int64] | None
    keys: tuple[int, ...]
    timeline: Timeline
    notes: tuple[VideoNote, ...] = ()


def open_stream(path: Path) -> tuple[Any, Any]:
    """Open a file; (container, its video stream of the largest picture, the first of equals, as FFmpeg chooses it).

    Raises:
        VideoError: the container holds no video stream.
    """
    import av

    container: Any = av.open(str(path))
    streams = _pictures(container)
    if not streams or any(stream.codec_context is None for stream in streams):
        container.close()
        raise VideoError("unsupported_codec" if streams else "no_video_stream", path.name)
    best = max(streams, key=lambda stream: stream.codec_context.width * stream.codec_context.height)
    sides = best.codec_context.width, best.codec_context.height
    if 0 < min(sides) < MIN_SIDE_PX:
        container.close()
        raise VideoError("too_small", f"{path.name} ({sides[0]}x{sides[1]} pixels)")
    return container, best


def _pictures(container: Any) -> list[Any]:
    """The video streams of a container, without cover pictures."""
    import av

    return [stream for stream in container.streams.video if not stream.disposition & av.stream.Disposition.attached_pic]


def _stream_notes(container: Any, stream: Any) -> tuple[VideoNote, ...]:
    """Remarks on a stream that was chosen among others, or whose pixels are not square."""
    sides, notes = f"{stream.codec_context.width}x{stream.codec_context.height}", []
    if (count := len(_pictures(container))) > 1:
        notes.append(
            VideoNote("several_streams", f"it has {count} video streams: the one of the largest picture is read, {sides}")
        )
    ratio = stream.sample_aspect_ratio
    if ratio and ratio != 1:
        shape = f"{ratio.numerator}:{ratio.denominator}"
        notes.append(VideoNote("non_square_pixels", f"its pixels are {shape}: frames and boxes keep the stored {sides}"))
    return tuple(notes)


def index_frames(path: Path) -> FrameIndex:
    """Index a file: from its packets where each states its time, else by decoding it once.

    Args:
        path: video file on this machine.

    Raises:
        VideoError: the stream holds no frame.
    """
    container, stream = open_stream(path)
    with container:
        notes = _stream_notes(container, stream)
        indexed = any(name in _INDEXED for name in container.format.name.split(","))
        index = _packet_index(container, stream) if indexed else None
    if index is None:
        container, stream = open_stream(path)
        with container:
            index = _decoded_index(container, stream, path.name)
    return replace(index, notes=(*index.notes, *notes))


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
    last, notes = 0, list[VideoNote]()
    try:
        for frame in container.decode(stream):
            ticks.append(frame.pts)
            last = frame.duration or 0
    except av.FFmpegError as error:
        stated = _stated_count(container, stream)
        if len(ticks) < _LEAST_INTACT * stated or not stated:
            raise VideoError("truncated", name) from error
        kept = f"its data is damaged after {len(ticks)} of about {stated} frames: these are kept"
        notes.append(VideoNote("damaged_tail", kept, len(ticks) / max(stated, len(ticks) + 1)))
    if not ticks:
        raise VideoError("no_frames", name)
    known = sorted({pts for pts in ticks if pts is not None})
    if len(known) == len(ticks):  # AVI states decoding times: the same ones, in another order
        times: list[float | None] = [pts * float(stream.time_base) for pts in known]
    else:
        times = [None if pts is None else pts * float(stream.time_base) for pts in ticks]
    completed = _completed(times, 1 / _rate(stream))
    if completed != times:
        replaced = "frame times that were missing, absurd, repeated or restarted follow the stated rate"
        notes.append(VideoNote("times_replaced", replaced))
    return FrameIndex(None, (0,), _timeline(completed, last, stream), tuple(notes))


def _stated_count(container: Any, stream: Any) -> int:
    """Number of frames that the container states, or that its duration holds at the stated rate; 0 if it states neither."""
    return int(stream.frames or round((container.duration or 0) / 1e6 * _rate(stream)))


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
