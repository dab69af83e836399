"""Build plans: new, stale, failed and final videos, determined before anything runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from storage.commit import BundleEntry
from storage.folders.folder import Folder
from storage.folders.open import folder_at
from storage.specification import BuildRequest
from storage.stages import StageStore, entries_by_video
from tasks.benchmarks.samples import Benchmark, VideoJob
from tasks.build.fingerprint import job_hash, job_stat
from tasks.build.stages import BuildConfig, ImportConfig, frames_spec, masks_spec
from tasks.build.upgrade import check_migrated
from tasks.build.workers import frames_fingerprint
from tasks.tracking.annotator import NO_WEIGHTS, AnnotatorWeights

State = Literal["new", "stale", "retry", "done", "filtered", "quarantined"]
"""`stale`: its input changed; `retry`: it failed for a reason that may pass; the rest as in `storage.outcomes`."""


@dataclass(frozen=True)
class StagePlan:
    """One stage of a build.

    Attributes:
        store: its folder.
        states: video -> state.
        todo: videos to run, in order of ID.
        loose: videos not in a shard yet, run or not, in order of ID; they are gathered into shards in this order.
        settled: video -> its entry, where nothing needs to run.
        seconds: measured wall time of each video that ran before, for estimates.
    """

    store: StageStore
    states: Mapping[str, State]
    todo: Sequence[VideoJob]
    loose: Sequence[VideoJob]
    settled: Mapping[str, BundleEntry]
    seconds: Sequence[float]

    def counts(self) -> dict[str, int]:
        """Videos counted by state."""
        return dict(Counter(self.states.values()))

    @property
    def open(self) -> bool:
        """Whether anything is left to run or to gather."""
        return bool(self.todo or self.loose)

    @property
    def fingerprints(self) -> dict[str, str]:
        """Video -> fingerprint of the rows that count, where nothing needs to run."""
        return {video_id: entry.fingerprint for video_id, entry in self.settled.items()}

    def of(self, videos: Collection[str]) -> StagePlan:
        """The plan with nothing to run or gather but these videos."""
        todo, loose = ([job for job in jobs if job.source.video_id in videos] for jobs in (self.todo, self.loose))
        return replace(self, todo=todo, loose=loose)


@dataclass(frozen=True)
class Build:
    """A dataset to be built.

    Attributes:
        folder: folder of the dataset.
        benchmark: its videos and sentences.
        config: everything that shapes it; device and precision of the tracker are resolved.
        weights: weights of detector and tracker.
        request: what is stored of the parameters, where they were given as such.
    """

    folder: Folder
    benchmark: Benchmark
    config: BuildConfig | ImportConfig
    weights: AnnotatorWeights = NO_WEIGHTS
    request: BuildRequest | None = None

    @property
    def masks(self) -> StageStore:
        """Store of its mask database."""
        return StageStore(self.folder, masks_spec(self.config, self.weights))

    @property
    def frames(self) -> StageStore:
        """Store of its frames."""
        return StageStore(self.folder, frames_spec(self.config, self.masks.spec))


def plan_masks(build: Build) -> StagePlan:
    """Plan detection and tracking of every video; reads a video only if its size is the same and its date is not.

    Raises:
        DatasetError: an earlier version wrote the dataset, and it is not migrated.
    """
    check_migrated(folder_at(build.folder))
    return _plan(build.masks, build.benchmark.jobs, _same_source)


def plan_frames(build: Build, masks: StagePlan) -> StagePlan:
    """Plan rendering of the videos whose masks are done; the others take part once they are."""
    tracked = {v: e.fingerprint for v, e in masks.settled.items() if e.outcome.status == "done"}
    jobs = [job for job in build.benchmark.jobs if job.source.video_id in tracked]

    def same(entry: BundleEntry, job: VideoJob) -> bool:
        return entry.fingerprint == frames_fingerprint(tracked[entry.video_id], job)

    return _plan(build.frames, jobs, same)


def _plan(store: StageStore, jobs: Sequence[VideoJob], same: Callable[[BundleEntry, VideoJob], bool]) -> StagePlan:
    shards = store.shards()
    known = entries_by_video((*shards, *store.parts().values()))
    committed = {(entry.video_id, entry.fingerprint) for shard in shards for entry in shard.entries}
    states: dict[str, State] = {}
    settled: dict[str, BundleEntry] = {}
    ordered = sorted(jobs, key=lambda job: job.source.video_id)
    for job in ordered:
        video_id = job.source.video_id
        entries = known.get(video_id, [])
        matching = [entry for entry in entries if same(entry, job)]
        states[video_id] = _state(entries, matching)
        settled.update((entry.video_id, entry) for entry in matching if entry.outcome.is_final)
    todo = [job for job in ordered if job.source.video_id not in settled]
    loose = [job for job in ordered if not _is_committed(settled.get(job.source.video_id), committed)]
    seconds = [entry.outcome.seconds for entry in settled.values() if entry.outcome.status == "done"]
    return StagePlan(store=store, states=states, todo=todo, loose=loose, settled=settled, seconds=seconds)


def _is_committed(entry: BundleEntry | None, committed: Container[tuple[str, str]]) -> bool:
    return entry is not None and (entry.video_id, entry.fingerprint) in committed


def _state(entries: Sequence[BundleEntry], matching: Sequence[BundleEntry]) -> State:
    for entry in matching:
        if entry.outcome.status != "failed":
            return entry.outcome.status
    if matching:
        return "retry"
    return "stale" if entries else "new"


def _same_source(entry: BundleEntry, job: VideoJob) -> bool:
    stat = job_stat(job)
    if stat == entry.stat:
        return True
    return bool(stat) and stat[:1] == entry.stat[:1] and job_hash(job) == entry.fingerprint
