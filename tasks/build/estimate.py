"""Estimate of the duration and output size of a build, from earlier outcomes or from the lengths of a few videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from storage.folders.folder import StoreError
from tasks.benchmarks.samples import VideoJob
from tasks.build.plan import Build, StagePlan
from tasks.build.stages import BuildConfig
from tasks.video.diagnosis import VideoError
from tasks.video.reader import local_source, open_video

_SECONDS_A_FRAME = {"flow": 0.05, "sam2": 0.5}
"""Rough time of detection and tracking on one CPU, where nothing has been measured yet."""
_RENDER_SECONDS_A_FRAME = 0.01
_BYTES_A_FRAME = 4000
_PROBES = 8


@dataclass(frozen=True)
class Estimate:
    """Estimated remaining work of a build.

    Attributes:
        videos: to be tracked or rendered.
        seconds: of work, over all workers.
        bytes: to be written.
        measured: whether the rates come from this dataset; if not they are rough.
    """

    videos: int
    seconds: float
    bytes: int
    measured: bool

    def __str__(self) -> str:
        if not self.videos:
            return "Nothing to do."
        basis = "measured on this dataset" if self.measured else "rough, until the first videos are done"
        return f"{self.videos} videos to do, about {self.seconds:.0f} s of work and {self.bytes / 1e6:.1f} MB ({basis})."


def estimate(build: Build, masks: StagePlan, frames: StagePlan) -> Estimate:
    """Estimate what the plans leave to do."""
    pending = {job.source.video_id for job in (*masks.todo, *frames.todo)}
    if not pending:
        return Estimate(0, 0.0, 0, measured=True)
    lengths = _lengths(masks.todo or frames.todo)
    track_s = fmean(masks.seconds or [lengths * _SECONDS_A_FRAME.get(_tracker(build), 0.5)])
    render_s = fmean(frames.seconds or [lengths * _RENDER_SECONDS_A_FRAME])
    seconds = track_s * len(masks.todo) + render_s * len(pending)
    written = [file.bytes for stage in (masks, frames) for shard in stage.store.shards() for file in shard.tables.values()]
    size = sum(written) / len(frames.seconds) if frames.seconds else lengths * _BYTES_A_FRAME
    return Estimate(len(pending), round(seconds, 1), int(size * len(pending)), bool(masks.seconds and frames.seconds))


def _tracker(build: Build) -> str:
    return build.config.tracker.name if isinstance(build.config, BuildConfig) else ""


def _lengths(jobs: Sequence[VideoJob]) -> float:
    """Mean number of frames of a few of the videos."""
    step = max(1, len(jobs) // _PROBES)
    lengths = []
    for job in jobs[::step][:_PROBES]:
        try:
            with local_source(job.source) as source:
                lengths.append(len(open_video(source)))
        except (VideoError, StoreError):
            continue
    return fmean(lengths) if lengths else 0.0
