"""Building a dataset: run what the plan leaves to do, commit shards as they fill, publish once, last.

Knows neither Prefect nor Ray: a `FanOut` runs the videos, here or on a cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version

from storage.commit import BundleEntry
from storage.manifest import Ending, Manifest, manifest_version, publish, published_stage
from storage.outcomes import Outcome
from storage.progress import OnProgress, Progress
from storage.specification import write_build_request
from storage.stages import SHARD_VIDEOS, StageStore
from tasks.benchmarks.samples import VideoJob
from tasks.build.endings import check_endings
from tasks.build.fingerprint import job_hash, job_stat
from tasks.build.plan import Build, StagePlan, plan_frames, plan_masks
from tasks.build.workers import FramesWorker, MasksWorker, WorkerFactory, frames_fingerprint


@dataclass(frozen=True)
class Ended:
    """A job that ended. `recorded` is False where the worker could not keep the outcome itself: it died or was stopped."""

    job: VideoJob
    outcome: Outcome
    recorded: bool = True


FanOut = Callable[[WorkerFactory, Sequence[VideoJob]], Iterable[Ended]]
"""Runs jobs on workers and yields each as it ends, in any order; every job ends once."""


def run_masks(build: Build, fan_out: FanOut, on_progress: OnProgress, only: Collection[str] | None = None) -> StagePlan:
    """Detect and track what the plan leaves to do, of `only` these videos if given; returns the plan as it stands then."""
    store_request(build)
    plan = plan_masks(build)
    chosen = plan if only is None else plan.of(only)
    _run(chosen, partial(MasksWorker, build.config, build.weights, plan.store), fan_out, on_progress)
    return plan_masks(build) if plan.open else plan


def store_request(build: Build) -> None:
    """Write what the build was asked for into the folder of its dataset, where it came from parameters."""
    if build.request is not None:
        stages = build.masks.spec.key, build.frames.spec.key
        write_build_request(build.folder, replace(build.request, stages=stages))


def run_frames(
    build: Build, masks: StagePlan, fan_out: FanOut, on_progress: OnProgress, only: Collection[str] | None = None
) -> StagePlan:
    """Render what the plan leaves to do, of `only` these videos if given; returns the plan as it stands then."""
    plan = plan_frames(build, masks)
    chosen = plan if only is None else plan.of(only)
    _run(chosen, partial(FramesWorker, build.config, masks.store, plan.store), fan_out, on_progress)
    return plan_frames(build, masks) if plan.open else plan


def _run(plan: StagePlan, factory: WorkerFactory, fan_out: FanOut, on_progress: OnProgress) -> None:
    plan.store.prepare()
    plan.store.sweep()
    shards = _Shards(plan)
    lost = 0
    for count, ended in enumerate(fan_out(factory, plan.todo) if plan.todo else (), start=1):
        if not ended.recorded:
            _record(plan.store, ended)
        video_id = ended.job.source.video_id
        shards.ended(video_id, ended.outcome)
        lost += ended.outcome.is_lost
        on_progress(
            Progress(stage=plan.store.spec.name, completed=count, total=len(plan.todo), lost=lost, outcome=ended.outcome)
        )
    shards.close()


class _Shards:
    """Commits each run of `SHARD_VIDEOS` loose videos once all of them have ended."""

    def __init__(self, plan: StagePlan) -> None:
        self._store = plan.store
        ids = [job.source.video_id for job in plan.loose]
        self._groups = [ids[i : i + SHARD_VIDEOS] for i in range(0, len(ids), SHARD_VIDEOS)]
        self._group_of = {video_id: n for n, group in enumerate(self._groups) for video_id in group}
        self._settled = {video_id for video_id in ids if video_id in plan.settled}
        todo = {job.source.video_id for job in plan.todo}
        self._waiting = [len(todo.intersection(group)) for group in self._groups]

    def ended(self, video_id: str, outcome: Outcome) -> None:
        """Note that a video has ended, and commit its shard if it was the last."""
        group = self._group_of[video_id]
        if outcome.is_final:
            self._settled.add(video_id)
        self._waiting[group] -= 1
        if self._waiting[group] == 0:
            self._commit(group)

    def close(self) -> None:
        """Commit groups in which nothing was left to run."""
        for group, videos in enumerate(self._groups):
            if self._waiting[group] == 0 and videos:
                self._commit(group)

    def _commit(self, group: int) -> None:
        videos = [video_id for video_id in self._groups[group] if video_id in self._settled]
        if videos:
            self._store.commit(videos)
        self._groups[group] = []


def run_build(build: Build, fan_out: FanOut, on_progress: OnProgress, error_budget: float) -> Manifest:
    """Every step of a build, in order.

    Raises:
        BudgetError, ConflictError: as `publish_build` does.
    """
    tracked = run_masks(build, fan_out, on_progress)
    return publish_build(build, tracked, run_frames(build, tracked, fan_out, on_progress), error_budget)


def publish_build(build: Build, masks: StagePlan, frames: StagePlan, error_budget: float) -> Manifest:
    """Check that every planned video has ended and the error budget holds, then publish.

    Args:
        build: what was built.
        masks: the mask stage's plan, made after it ran.
        frames: the frame stage's plan, made after it ran.
        error_budget: greatest share of planned videos that may be failed or quarantined, in [0, 1].

    Raises:
        BudgetError: more were lost; the dataset that was visible before stays visible.
        ConflictError: another build has published something else meanwhile.
    """
    seen = manifest_version(build.folder)
    endings = list(endings_of(build, masks, frames))
    check_endings(build.folder, endings, error_budget)
    stages = {stage.store.spec.name: published_stage(stage.store, stage.fingerprints) for stage in (masks, frames)}
    return publish(build.folder, stages, endings, build.benchmark.records, tool_versions(), seen)


def endings_of(build: Build, masks: StagePlan, frames: StagePlan) -> Iterator[Ending]:
    """Outcome of each planned video and its last stage; a video without one counts as failed."""
    failed = {**_failures(masks.store), **_failures(frames.store)}
    for job in build.benchmark.jobs:
        video_id = job.source.video_id
        entry = frames.settled.get(video_id) or masks.settled.get(video_id)
        in_frames = video_id in frames.settled or (entry is not None and entry.outcome.status == "done")
        if entry is None or (in_frames and video_id not in frames.settled):
            outcome = failed.get(video_id, Outcome("failed", "not_run", "the run ended before this video did"))
        else:
            outcome = _noted(entry.outcome, masks.settled[video_id].outcome)
        yield Ending(video_id, "frames" if in_frames else "masks", outcome, len(job.samples))


def _noted(last: Outcome, masks: Outcome) -> Outcome:
    """A done video keeps what its first stage noted, such as another number of frames than stated."""
    return replace(last, reason=masks.reason, detail=masks.detail) if last.status == "done" else last


def _failures(store: StageStore) -> dict[str, Outcome]:
    parts = (part.entries[0] for part in store.parts().values())
    return {entry.video_id: entry.outcome for entry in parts if not entry.outcome.is_final}


def _record(store: StageStore, ended: Ended) -> None:
    video_id, fingerprint = ended.job.source.video_id, job_hash(ended.job)
    if store.spec.name == "frames":
        fingerprint = frames_fingerprint(fingerprint, ended.job)
    store.write_part(BundleEntry(video_id, fingerprint, ended.outcome, job_stat(ended.job)), {})


def run_here(factory: WorkerFactory, jobs: Sequence[VideoJob]) -> Iterator[Ended]:
    """The plainest `FanOut`: one worker in this process."""
    worker = factory()
    for job in jobs:
        yield Ended(job, worker.run(job))


def tool_versions() -> dict[str, str]:
    """Versions of the libraries whose behaviour shows in a dataset."""
    names = ("decord", "numpy", "opencv-contrib-python-headless", "pyarrow", "rlemasklib", "sam2", "torch", "ultralytics")
    return {name: version(name) for name in names}
