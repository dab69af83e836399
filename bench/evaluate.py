"""`stvg evaluate sample` with the tiny model, as a person runs it after `stvg build sample`: imports and scores included."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.figures import Figure, at_most, told

SECONDS = 180.0
STVG = Path(sys.executable).with_name("stvg")


def run() -> list[Figure]:
    """Build the sample, and time an evaluation of all of it with every default."""
    with tempfile.TemporaryDirectory() as folder:
        stvg(folder, "build", "sample")
        before = os.getloadavg()[0]
        started = time.perf_counter()
        results = stvg(folder, "evaluate", "sample", "--model", "tiny")
        seconds = time.perf_counter() - started
    cores = len(os.sched_getaffinity(0))
    how = f"{results['samples']} sentences, {results['tokens']} tokens, {cores} cores, load before it {before:.1f}"
    return [
        at_most("stvg evaluate sample --model tiny, s", seconds, SECONDS, how),
        told("of them failed", len(results["failures"]), "none should"),
    ]


def stvg(folder: str, *arguments: str) -> dict[str, Any]:
    """Run a command in a folder, with as many threads as there are cores; what it prints as JSON."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(len(os.sched_getaffinity(0)))}
    command = [STVG, *arguments, "--json"]
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, check=True)
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed
