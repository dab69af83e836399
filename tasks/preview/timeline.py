"""Positions on a time axis, in per cent of the video's duration so that they scale with its width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.video.timeline import Timeline

MAX_MERGED_GAP = 0.25
"""Maximum width in per cent of the axis of gaps that are closed, since they would be about a pixel wide."""
_TICK_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200)
_MAX_TICKS = 9


class AxisSpan(NamedTuple):
    """A span on the axis: `x` and `width` in per cent of the duration, `start_s` and `end_s` in seconds."""

    x: float
    width: float
    start_s: float
    end_s: float


class Tick(NamedTuple):
    """A label on the axis, `x` in per cent."""

    x: float
    label: str


def axis_percent(time_s: float, duration_s: float) -> float:
    """Position of a time on the axis in per cent, clipped to the axis.

    Args:
        time_s: seconds from the start of the video.
        duration_s: duration in seconds.
    """
    return round(min(max(time_s / duration_s, 0.0), 1.0) * 100, 3) if duration_s > 0 else 0.0


def axis_span(start_s: float, end_s: float, duration_s: float) -> AxisSpan:
    """Span on the axis between two times.

    Args:
        start_s: start in seconds, inclusive.
        end_s: end in seconds, exclusive.
        duration_s: length of the axis in seconds.
    """
    x = axis_percent(start_s, duration_s)
    return AxisSpan(x, round(axis_percent(end_s, duration_s) - x, 3), start_s, end_s)


def visible_spans(frames: NDArray[np.int64], timeline: Timeline) -> list[AxisSpan]:
    """Spans in which an object is visible.

    Args:
        frames: int (n,), native frames with a mask, ascending.
        timeline: timeline of the video; a frame lasts until the next one starts.
    """
    ends = np.append(timeline.times_s[1:], timeline.duration_s)
    starts_s, ends_s = timeline.times_s[frames], ends[frames]
    breaks = np.flatnonzero((starts_s[1:] - ends_s[:-1]) > MAX_MERGED_GAP / 100 * timeline.duration_s)
    firsts, lasts = np.concatenate([[0], breaks + 1]), np.concatenate([breaks, [len(frames) - 1]])
    return [
        axis_span(float(starts_s[first]), float(ends_s[last]), timeline.duration_s)
        for first, last in zip(firsts, lasts, strict=True)
    ]


def ticks(duration_s: float) -> list[Tick]:
    """Round times along the axis, at most nine, the first at 0."""
    step = next((s for s in _TICK_STEPS_S if duration_s / s < _MAX_TICKS), duration_s / 5)
    times = np.arange(0, duration_s, step).tolist()
    return [Tick(axis_percent(t, duration_s), format_time(t)) for t in times]


def format_time(time_s: float) -> str:
    """Time as text: `2.5 s` below two minutes, `3:07` above."""
    if time_s < 120:
        return f"{time_s:.1f}".removesuffix(".0") + " s"
    minutes, seconds = divmod(round(time_s), 60)
    return f"{minutes}:{seconds:02d}"


def evenly_spaced(count: int, limit: int) -> Sequence[int]:
    """Indices of at most `limit` of `count` items, evenly spaced, with the first and the last.

    Args:
        count: number of items.
        limit: maximum number of indices, at least 1.
    """
    if limit >= count:
        return range(count)
    if limit < 2:
        return range(min(limit, count))
    return [int(i) for i in np.linspace(0, count - 1, limit).round()]
