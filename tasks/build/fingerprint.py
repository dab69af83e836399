"""Fingerprints of a job: a stat of its sources that costs nothing, and a hash of their content."""

from __future__ import annotations

from storage.folders.files import json_digest
from tasks.benchmarks.samples import VideoJob
from tasks.video.fingerprint import content_hash, quick_stat


def job_stat(job: VideoJob) -> list[int]:
    """`quick_stat` of a video, and after it that of the masks that are there already."""
    stat = [] if job.source.unusable else quick_stat(job.source.path)
    return stat if job.masks is None or not stat else [*stat, *quick_stat(job.masks)]


def job_hash(job: VideoJob) -> str:
    """Hash of what a video's masks are made from: its bytes, and those of the masks that are there already."""
    video = job.source.unusable or content_hash(job.source.path)
    return video if job.masks is None else json_digest([video, content_hash(job.masks)])
