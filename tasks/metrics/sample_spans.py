"""True and predicted spans of stored samples, in frames and in seconds."""

from __future__ import annotations

from tasks.benchmarks.samples import Task
from tasks.metrics.arrays import StoredSample, StoredVideo
from tasks.metrics.predictions import Prediction

Span = tuple[int, int]
"""First and last native frame, closed."""


def can_be_scored(sample: StoredSample) -> bool:
    """Whether a sample can be scored; an expression without a target has a truth, a target that is on no frame."""
    if sample.task is Task.QUESTION:
        return True
    if sample.task is Task.TEMPORAL:
        return sample.span_s is not None or sample.span is not None
    if sample.task is Task.SEGMENTATION:
        return bool(sample.targets) and all(len(target.counts) == len(target.frames) for target in sample.targets)
    return sample.span is not None and bool(sample.targets)


def true_seconds(video: StoredVideo, sample: StoredSample) -> tuple[float, float] | None:
    """True span in seconds of the clip, as annotated or of the annotated frames; None without one."""
    if sample.span_s is not None or sample.span is None:
        return sample.span_s
    last = len(video.timeline.times_s) - 1
    if sample.span[0] > last:
        return None
    return shifted(video.timeline.seconds_of(sample.span[0], min(sample.span[1], last)), -sample.clip_start_s)


def predicted_frames(video: StoredVideo, sample: StoredSample, given: Prediction | None) -> Span | None:
    """Frames on screen in the predicted seconds; None if there are none."""
    if given is None or given.span_s is None:
        return None
    frames = video.timeline.frames_in(*(sample.clip_start_s + time for time in given.span_s))
    return (frames[0], frames[-1]) if frames else None


def shifted(span: tuple[float, float] | None, by: float) -> tuple[float, float] | None:
    """Both ends of a span plus an offset in seconds; None stays None."""
    return None if span is None else (span[0] + by, span[1] + by)
