"""Metrics of a build for Prometheus, which Ray's exporter serves on every node together with its own."""

from __future__ import annotations

from functools import cache
from typing import Any

from storage.progress import OnProgress, Progress

SECONDS = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0]
"""Upper bounds of the histogram's buckets."""


def measured(on_progress: OnProgress) -> OnProgress:
    """Count `stvg_videos_total` by stage and status and `stvg_video_seconds` by stage, and pass the progress on.

    Args:
        on_progress: called with every progress.
    """
    metrics = cache(_metrics)

    def report(progress: Progress) -> None:
        if progress.outcome is not None:
            videos, seconds = metrics()
            videos.inc(1, {"stage": progress.stage, "status": progress.outcome.status})
            seconds.observe(progress.outcome.seconds, {"stage": progress.stage})
        on_progress(progress)

    return report


def _metrics() -> tuple[Any, Any]:
    """The metrics, created with the first video: a build without pending videos starts no Ray."""
    from ray.util.metrics import Counter, Histogram

    videos = Counter("stvg_videos", "Videos that ended.", ("stage", "status"))
    return videos, Histogram("stvg_video_seconds", "Seconds a video took, its last try.", SECONDS, ("stage",))
