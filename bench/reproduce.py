"""`stvg reproduce table-7 --miniature` as a person runs it: from nothing to a printed table, and again."""

from __future__ import annotations

import os
import tempfile
import time
from typing import Any

from bench.evaluate import stvg
from bench.figures import Figure, at_most, told

FIRST_S, AGAIN_S = 1800.0, 20.0


def run() -> list[Figure]:
    """Build, train and ask all of it, and run the same command a second time."""
    with tempfile.TemporaryDirectory() as folder:
        first, made, before = _timed(folder)
        again, same, later = _timed(folder)
    whys = {cell["row"] for cell in made["cells"] if cell["reason"]}
    cores = len(os.sched_getaffinity(0))
    return [
        at_most(
            "stvg reproduce table-7 --miniature, from nothing, s", first, FIRST_S, f"{cores} cores, load before it {before:.1f}"
        ),
        at_most("the same again, s", again, AGAIN_S, f"load before it {later:.1f}"),
        at_most("numbers that are others then", sum(a != b for a, b in zip(made["cells"], same["cells"], strict=True)), 0, ""),
        told("rows without numbers", len(whys), ", ".join(sorted(whys)) or "none should be"),
    ]


def _timed(folder: str) -> tuple[float, dict[str, Any], float]:
    """Seconds, what was printed, and the machine's load before."""
    before = os.getloadavg()[0]
    started = time.perf_counter()
    table = stvg(folder, "reproduce", "table-7", "--miniature")
    return time.perf_counter() - started, table, before
