"""Limits on long and crowded videos, which are first cut to their annotated segments, then excluded with a reason."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from storage.common.config import Config
from tasks.benchmarks.samples import VideoJob
from tasks.video.reader import Video


class LimitConfig(Config):
    """Limits on what is tracked. They shape no mask, so that finished videos stay as they are when a limit is raised."""

    max_duration_s: float = Field(
        1200,
        title="Longest video",
        ge=0,
        le=864_000,
        description="Longest video in seconds; of longer ones only the annotated segments are tracked. 0 sets no limit.",
    )
    max_objects: int = Field(
        100,
        title="Most objects",
        ge=0,
        le=10_000,
        description="Maximum objects per video; beyond it only the annotated segments are tracked. 0 sets no limit.",
    )

    least_intact: float = Field(
        0.5,
        title="Least intact share",
        ge=0,
        le=1,
        description="Share of a damaged video's frames that must precede the damage for them to be kept; 1 keeps none.",
    )


class LimitError(Exception):
    """A video that a limit excludes; the message is a sentence.

    `reason` is `too_long` or `too_many_objects` if the video exceeds a limit even when it is cut, or `no_masks` if masks should
    be imported and there are none.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def annotated_segments(job: VideoJob, video: Video) -> list[range]:
    """Frame ranges of the clips of a job, merged where they overlap or touch, ascending; the whole video without clips.

    Args:
        job: video with its clips and samples.
        video: the opened video.
    """
    joined: list[range] = []
    for clip in sorted((clip.range_in(video.timeline) for clip in job.clips), key=lambda clip: clip.start):
        frames = range(clip.start, min(clip.stop, len(video)))
        if joined and frames.start <= joined[-1].stop:
            joined[-1] = range(joined[-1].start, max(joined[-1].stop, frames.stop))
        elif frames:
            joined.append(frames)
    return joined or [range(len(video))]


def within_duration(job: VideoJob, video: Video, limits: LimitConfig) -> list[range]:
    """Frame ranges to track: the whole video, or the annotated segments if it is too long.

    Args:
        job: video with its clips and samples.
        video: the opened video.
        limits: caps on duration and number of objects.

    Raises:
        LimitError: the annotated segments are too long as well.
    """
    whole, cap = [range(len(video))], limits.max_duration_s
    if not cap or _lasts_s(video, whole) <= cap:
        return whole
    segments = annotated_segments(job, video)
    lasts_s = _lasts_s(video, segments)
    if lasts_s > cap:
        raise LimitError("too_long", f"{lasts_s:.0f} s to track, and the limit is {cap:g} s: raise limits.max_duration_s")
    return segments


def _lasts_s(video: Video, segments: Sequence[range]) -> float:
    return sum(video.timeline.end_of(frames[-1]) - float(video.timeline.times_s[frames.start]) for frames in segments)
