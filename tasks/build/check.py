"""Check of the videos of a benchmark before a build: whether they exist and can be read."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from storage.folders.cache import RemoteFile
from storage.progress import OnProgress, Progress
from tasks.benchmarks.samples import VideoJob
from tasks.build.workers import as_stated, refuse_black
from tasks.video.diagnosis import VideoError
from tasks.video.reader import local_source, open_video


@dataclass(frozen=True)
class InputFinding:
    """Result of the check of one video.

    Attributes:
        video_id: the video.
        path: where it is, or should be.
        state: `there`; `missing`; `fewer_frames_than_stated` or `more_frames_than_stated`, which a build keeps; or a reason
            of `tasks.video.diagnosis`, for which a build quarantines it.
        detail: one sentence, empty if there is nothing to say.
        samples: sentences that speak of it.
    """

    video_id: str
    path: Path | RemoteFile
    state: str
    detail: str
    samples: int

    @property
    def usable(self) -> bool:
        """Whether a build can use it."""
        return self.state == "there" or self.state.endswith("_than_stated")


def check_videos(jobs: Sequence[VideoJob], decode: bool, on_progress: OnProgress) -> list[InputFinding]:
    """Look at every video, a thread a core.

    Args:
        jobs: what a benchmark names.
        decode: also decode five frames of each; without it, the file's index is read.
        on_progress: called after each video.
    """

    def look(job: VideoJob) -> InputFinding:
        state, detail = _state(job, decode)
        return InputFinding(
            video_id=job.source.video_id, path=job.source.path, state=state, detail=detail, samples=len(job.samples)
        )

    findings = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for finding in pool.map(look, jobs):
            findings.append(finding)
            on_progress(Progress("check", len(findings), len(jobs)))
    return findings


def _state(job: VideoJob, decode: bool) -> tuple[str, str]:
    try:
        with local_source(job.source) as source:
            video = open_video(source)
            outcome = as_stated(job, video)
            if decode:
                refuse_black(source, video, range(len(video)))
    except VideoError as error:
        return error.reason, str(error)
    return outcome.reason or "there", outcome.detail


def states(findings: Iterable[InputFinding]) -> dict[str, int]:
    """Videos counted by state, most frequent first."""
    return dict(Counter(finding.state for finding in findings).most_common())
