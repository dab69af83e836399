"""Videos and a worker for `bench.scale_kills`: files of a few bytes, and rows made up from their names, quick to write."""

from __future__ import annotations

import random
import time
import zlib
from pathlib import Path
from typing import Any

import pyarrow as pa

from storage.commit import BundleEntry
from storage.outcomes import Outcome
from storage.schema import TABLES
from storage.stages import StageStore
from tasks.benchmarks.samples import Benchmark, Clip, VideoJob
from tasks.build.workers import frames_fingerprint
from tasks.video.fingerprint import content_hash, quick_stat
from tasks.video.reader import Source

ROWS = 40


def benchmark(folder: Path, count: int) -> Benchmark:
    """Write files that pass for videos, and name them as jobs."""
    folder.mkdir()
    paths = [folder / f"{number:03d}.mp4" for number in range(count)]
    for path in paths:
        path.write_text(path.name)
    return Benchmark([VideoJob(Source(path.name, path), (Clip(path.name),)) for path in paths])


class Scribe:
    """A worker that writes made-up rows of a stage: the same for the same video, whoever writes them and when."""

    def __init__(self, store: StageStore, stage: str) -> None:
        self._store, self._stage = store, stage

    def run(self, job: VideoJob) -> Outcome:
        """Write a part after a moment."""
        time.sleep(0.02)
        video_id, fingerprint = job.source.video_id, content_hash(job.source.path)
        entry = BundleEntry(video_id, fingerprint, Outcome("done"), quick_stat(job.source.path))
        if self._stage == "frames":
            entry = BundleEntry(video_id, frames_fingerprint(fingerprint, job), Outcome("done"))
        self._store.write_part(entry, {table: _rows(table, video_id) for table in self._store.spec.tables})
        return entry.outcome


def _rows(table: str, video_id: str) -> pa.Table:
    rng = random.Random(zlib.crc32(f"{table} {video_id}".encode()))
    rows = [{field.name: _value(field.type, video_id, rng) for field in TABLES[table]} for _ in range(ROWS)]
    return pa.Table.from_pylist(rows, schema=TABLES[table])


def _value(kind: pa.DataType, video_id: str, rng: random.Random) -> Any:
    if pa.types.is_integer(kind):
        return rng.randrange(1000)
    if pa.types.is_floating(kind):
        return rng.random()
    if pa.types.is_binary(kind):
        return rng.randbytes(40)
    if pa.types.is_list(kind):
        return []
    return video_id
