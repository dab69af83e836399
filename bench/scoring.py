"""Scoring a dataset of the size of HC-STVG v2's validation split from its mask database: time and memory."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from bench.figures import Figure, at_most, told
from storage.commit import BundleEntry, Rows, write_bundle
from storage.manifest import Ending, publish, published_stage
from storage.outcomes import Outcome
from storage.schema import CLIPS, MASKS, SAMPLES, VIDEOS
from storage.stages import SHARD_VIDEOS, StageSpec, StageStore

SAMPLES_COUNT, FRAMES, OBJECTS, FPS = 3482, 200, 5, 10.0


def write(folder: Path, count: int) -> Path:
    """Publish `count` videos of 200 frames with 5 objects and one sentence each; returns predictions for all of them."""
    rng = np.random.default_rng(0)
    ids = [f"video-{n:05d}.mp4" for n in range(count)]
    masks = StageStore(folder, StageSpec("masks", 2, {}, ("videos", "masks")))
    frames = StageStore(folder, StageSpec("frames", 2, {}, ("clips", "frames", "samples")))
    for store in (masks, frames):
        store.prepare()
        for start in range(0, count, SHARD_VIDEOS):
            mine = ids[start : start + SHARD_VIDEOS]
            entries = [BundleEntry(video_id, video_id, Outcome("done")) for video_id in mine]
            tables = {table: _rows(table, mine, rng) for table in store.spec.tables if table != "frames"}
            write_bundle(store.folder, f"shard-{start:05d}", entries, tables, durable=False)
    chosen = {video_id: video_id for video_id in ids}
    stages = {store.spec.name: published_stage(store, chosen) for store in (masks, frames)}
    publish(folder, stages, [Ending(video_id, "frames", Outcome("done"), 1) for video_id in ids], {}, {})
    predictions = folder / "predictions.jsonl"
    rows = [
        {"sample_id": i, "object_id": 1 + n % OBJECTS, "start_s": 1.0 + n % 7, "end_s": 12.0 + n % 5} for n, i in enumerate(ids)
    ]
    predictions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return predictions


def _rows(table: str, ids: list[str], rng: np.random.Generator) -> Iterator[Rows]:
    for video_id in ids:
        yield video_id, {"videos": _video, "masks": _masks, "clips": _clip, "samples": _sample}[table](video_id, rng)


def _video(video_id: str, _rng: np.random.Generator) -> pa.Table:
    times = (np.arange(FRAMES) / FPS).tolist()
    size = {"width": 640, "height": 360, "frame_count": FRAMES, "fps": FPS, "duration_s": FRAMES / FPS}
    row = {"video_id": video_id, "path": video_id, "sha256": "", **size, "times_s": times, "objects": []}
    return pa.Table.from_pylist([row], schema=VIDEOS)


def _masks(video_id: str, rng: np.random.Generator) -> pa.Table:
    rows = FRAMES * OBJECTS
    corner = rng.integers(0, 200, (rows, 2))
    x2, y2 = corner[:, 0] + 60, corner[:, 1] + 120
    sides = {"x1": corner[:, 0], "y1": corner[:, 1], "x2": x2, "y2": y2}
    columns = {
        "video_id": [video_id] * rows,
        "frame_index": np.repeat(np.arange(FRAMES), OBJECTS),
        "object_id": np.tile(np.arange(1, OBJECTS + 1), FRAMES),
        "category": ["person"] * rows,
        **sides,
        "area": np.full(rows, 5000),
        "anchor_x": corner[:, 0],
        "anchor_y": corner[:, 1],
        "rle_counts": [b"0" * 60] * rows,
    }
    return pa.Table.from_pydict(columns, schema=MASKS)


def _clip(video_id: str, _rng: np.random.Generator) -> pa.Table:
    row = {"clip_id": video_id, "video_id": video_id, "start_s": 0.0, "end_s": FRAMES / FPS, "reason": ""}
    return pa.Table.from_pylist([{**row, "first_frame": 0, "last_frame": FRAMES - 1}], schema=CLIPS)


def _sample(video_id: str, rng: np.random.Generator) -> pa.Table:
    corner = rng.uniform(0, 200, (FRAMES, 2))
    target = {"frames": list(range(FRAMES)), "boxes": np.hstack([corner, corner + np.array([60, 120])]).tolist(), "counts": []}
    truth = {"start_s": 0.0, "end_s": FRAMES / FPS, "start_frame": 0, "end_frame": FRAMES - 1, "targets": [target]}
    names = {
        "sample_id": video_id,
        "clip_id": video_id,
        "video_id": video_id,
        "task": "spatio-temporal",
        "group": "",
        "record": "",
    }
    row = {**names, "sentence": "It moves.", **truth, "answer_ids": [1], "options": [], "answer": "", "reason": ""}
    return pa.Table.from_pylist([row], schema=SAMPLES)


def measure(folder: Path) -> tuple[float, float]:
    """Seconds and peak megabytes of scoring in this process, imports aside."""
    from storage.reader import Dataset
    from tasks.metrics.scoring import score_dataset

    started = time.perf_counter()
    score_dataset(Dataset(folder), folder / "predictions.jsonl", "paper")
    seconds = time.perf_counter() - started
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def _measured(folder: Path) -> tuple[float, float]:
    code = f"from pathlib import Path; from bench.scoring import measure; print(*measure(Path({str(folder)!r})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, megabytes = (float(word) for word in done.stdout.split())
    return seconds, megabytes


def run() -> list[Figure]:
    """Score the whole set, and a quarter of it, each in a process of its own."""
    with tempfile.TemporaryDirectory() as root:
        whole, quarter = Path(root) / "whole", Path(root) / "quarter"
        write(whole, SAMPLES_COUNT)
        write(quarter, SAMPLES_COUNT // 4)
        seconds, megabytes = _measured(whole)
        _, less = _measured(quarter)
    how = f"{SAMPLES_COUNT} samples, {FRAMES} frames, {OBJECTS} objects a frame, with and without ID repair, one process"
    return [
        at_most("seconds to score the set from its mask database", seconds, 3.0, how),
        at_most("peak memory over that of a quarter of the set", megabytes / less, 1.1, "ru_maxrss of the two processes"),
        told("peak memory in MB", megabytes, how),
    ]
