"""Reading annotations into typed samples: the largest public validation split."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from bench.figures import Figure, at_most, shared, told
from tasks.benchmarks.vidstg import read_vidstg

TRIES = 5


def run() -> list[Figure]:
    """Read VidSTG's validation split."""
    path = shared("data", "annotations", "vidstg", "val_annotations.json")
    seconds = []
    with tempfile.TemporaryDirectory() as videos:
        for _ in range(TRIES):
            started = time.perf_counter()
            read = read_vidstg(path, Path(videos))
            seconds.append(time.perf_counter() - started)
    how = f"VidSTG val, {read.records['samples']} queries of {read.records['records']} records; worst of {TRIES}"
    return [
        at_most("seconds to read into typed samples", max(seconds), 2.0, how),
        told("queries read a second", read.records["samples"] / max(seconds), how),
    ]
