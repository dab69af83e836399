"""Truths of samples from the mask database and the true boxes, in seconds of the clip."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from rl.rewards.truth import Truth
from tasks.markers.labels import Style
from tasks.metrics.arrays import StoredSample, StoredVideo
from tasks.metrics.temporal import Span
from tasks.metrics.tubes import Tube, overlap

_TIME_DIGITS, _IOU_DIGITS = 6, 4


def sample_truth(video: StoredVideo, sample: StoredSample, drawn: Mapping[int, Collection[int]], style: Style) -> Truth:
    """The truth of a sample whose prompt asks for an object.

    Args:
        video: with every instance of the mask database.
        sample: has a true span and exactly one answer ID.
        drawn: native frame index of each frame in the prompt -> IDs of the markers on it.
        style: of the marker labels.
    """
    assert sample.span_s is not None
    [object_id] = sample.answer_ids
    first, last = sample.clip or (0, len(video.timeline.times_s) - 1)
    frames, _ = video.tube(object_id)
    marked_frames = np.array(sorted(frame for frame, ids in drawn.items() if object_id in ids), np.int64)
    return Truth(
        span_s=sample.span_s,
        object_id=object_id,
        style=style,
        visible=_intervals(video, sample, frames[(frames >= first) & (frames <= last)]),
        drawn=_intervals(video, sample, marked_frames),
        edges_s=_edges(video, sample),
        ious=_ious(video, sample),
    )


def _intervals(video: StoredVideo, sample: StoredSample, frames: NDArray[np.int64]) -> tuple[Span, ...]:
    """Half-open intervals in which runs of consecutive frames, ascending, are on screen."""
    runs = np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1) if len(frames) else []
    times, timeline = video.timeline.times_s, video.timeline
    return tuple((_clip_time(sample, times[run[0]]), _clip_time(sample, timeline.end_of(int(run[-1])))) for run in runs)


def _edges(video: StoredVideo, sample: StoredSample) -> tuple[float, ...]:
    if sample.span is None:
        return ()
    first, last = sample.span
    times = [*video.timeline.times_s[first : last + 1].tolist(), video.timeline.end_of(last)]
    return tuple(_clip_time(sample, time) for time in times)


def _ious(video: StoredVideo, sample: StoredSample) -> dict[int, tuple[float, ...]]:
    if sample.span is None or not sample.targets:
        return {}
    first, last = sample.span
    target = sample.targets[0].filled
    inside = (target.frames >= first) & (target.frames <= last)
    truth = Tube(first, last, target.frames[inside], target.boxes[inside])
    by_object = {}
    for object_id in np.unique(video.objects).tolist():
        shared = overlap(truth, Tube(first, last, *video.tube(object_id)))
        ious = np.zeros(last - first + 1)
        ious[shared.frames - first] = shared.ious
        if ious.any():
            by_object[object_id] = tuple(ious.round(_IOU_DIGITS).tolist())
    return by_object


def _clip_time(sample: StoredSample, time_s: float) -> float:
    """A time of the video, seconds, as a time of the clip."""
    return round(float(time_s) - sample.clip_start_s, _TIME_DIGITS)
