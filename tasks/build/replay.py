"""One stage of one video run again in this process from what is stored, and held against it: for debugging.

Nothing in the dataset is written: the part goes to a folder of its own.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pyarrow as pa

from storage.commit import BundleEntry
from storage.folders.folder import Folder, FolderLike
from storage.manifest import DatasetError
from storage.outcomes import Outcome
from storage.stages import StageStore
from tasks.benchmarks.samples import VideoJob
from tasks.build.fingerprint import job_hash
from tasks.build.plan import Build
from tasks.build.workers import FramesWorker, MasksWorker, Tables, frames_fingerprint, run_attempt

Stage = Literal["masks", "frames"]
TablesOf = Callable[[VideoJob, str], tuple[Outcome, Tables]]


@dataclass(frozen=True)
class Difference:
    """Difference between a new table and the stored one.

    Attributes:
        table: its name.
        rows, stored_rows: how many there are, now and stored.
        columns: those whose values differ; empty if none does.
        first_frame: native frame of the first row that differs, where the table has frames.
    """

    table: str
    rows: int
    stored_rows: int
    columns: tuple[str, ...] = ()
    first_frame: int | None = None

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return self.rows == self.stored_rows and not self.columns


@dataclass(frozen=True)
class Replay:
    """Result of a replay.

    Attributes:
        outcome: how the stage ended this time, with its wall time.
        traceback: of an unforeseen error; empty without one.
        stored: how it ended in the dataset with this content; None if nothing is stored of it.
        differences: one entry a table, where the dataset has rows of the video.
        folder: holds the part that was written.
    """

    outcome: Outcome
    traceback: str
    stored: Outcome | None
    differences: Sequence[Difference]
    folder: Folder


def replay(build: Build, video_id: str, stage: Stage, scratch: FolderLike) -> Replay:
    """Run a stage of a video.

    Args:
        build: the build that the dataset came from.
        video_id: the video.
        stage: `masks` reads the source; `frames` the source and the stored masks.
        scratch: the folder that the part is written to.

    Raises:
        DatasetError: the benchmark has no such video.
        WeightsError: a model of the stage cannot be loaded.
    """
    job = _job(build, video_id)
    fingerprint = job_hash(job)
    tables_of: TablesOf
    if stage == "masks":
        store, known, tables_of = build.masks, fingerprint, MasksWorker(build.config, build.weights, build.masks).tables
    else:
        store, known = build.frames, frames_fingerprint(fingerprint, job)
        tables_of = FramesWorker(build.config, build.masks, build.frames).tables
    outcome, tables, trace = _traced(tables_of, job, fingerprint)
    kept = StageStore(scratch, store.spec)
    kept.prepare()
    kept.write_part(BundleEntry(video_id, known, outcome), tables)
    stored, rows = _stored(store, video_id, known)
    names = [table for table in store.spec.tables if table in tables and table in rows]
    compared = [compare_rows(table, tables[table], rows[table]) for table in names]
    return Replay(outcome=outcome, traceback=trace, stored=stored, differences=compared, folder=kept.folder)


def _job(build: Build, video_id: str) -> VideoJob:
    for job in build.benchmark.jobs:
        if job.source.video_id == video_id:
            return job
    raise DatasetError(f"'{build.folder}' was built of {len(build.benchmark.jobs)} videos, and '{video_id}' is none of them")


def _traced(tables_of: TablesOf, job: VideoJob, fingerprint: str) -> tuple[Outcome, Tables, str]:
    """Outcome and rows as a worker in a build has them, and the traceback where that keeps a sentence."""
    trace = ""

    def work() -> tuple[Outcome, Tables]:
        nonlocal trace
        try:
            return tables_of(job, fingerprint)
        except Exception:
            trace = traceback.format_exc()
            raise

    outcome, tables = run_attempt(work)
    return outcome, tables, trace if outcome.status == "failed" else ""


def _stored(store: StageStore, video_id: str, fingerprint: str) -> tuple[Outcome | None, Mapping[str, pa.Table]]:
    shard = store.shards_by_entry().get((video_id, fingerprint))
    if shard is None:
        part = store.parts().get(video_id)
        return (part.entries[0].outcome if part and part.fingerprints[video_id] == fingerprint else None), {}
    [outcome] = (entry.outcome for entry in shard.entries if entry.video_id == video_id)
    present = [table for table, file in shard.tables.items() if video_id in file.videos]
    return outcome, {table: store.read(shard, table, video_id) for table in present}


def compare_rows(table: str, new: pa.Table, stored: pa.Table) -> Difference:
    """Hold the rows of a video in a table against those that are stored."""
    rebuilt, before = new.to_pylist(), stored.to_pylist()
    pairs = list(zip(rebuilt, before, strict=False))
    columns = tuple(name for name in new.column_names if any(now[name] != then[name] for now, then in pairs))
    first = next((n for n, (now, then) in enumerate(pairs) if now != then), len(pairs))
    rows = rebuilt if len(rebuilt) >= len(before) else before
    frame = rows[first].get("frame_index") if first < len(rows) else None
    return replace(Difference(table, len(rebuilt), len(before)), columns=columns, first_frame=frame)
