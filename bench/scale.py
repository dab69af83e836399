"""Ten thousand videos through the real flow and the real door to Ray; some are bad data, some kill their worker."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bench.figures import Figure, at_least, at_most, told
from bench.scale_videos import KILLERS, Written, parameters, write_videos
from infra.cli.server import prefect_server
from infra.prefect.access import ask, free_port
from storage.manifest import load_manifest
from storage.reader import Dataset

FEW, MANY = 1_000, 10_000
KILLED_AS = {"crash": "worker_died", "memory": "worker_died", "hang": "deadline"}


class Run(NamedTuple):
    """A build: milliseconds a good video while videos ended, seconds, MiB the driver grew by, and what the server saw."""

    ms_a_video: float
    seconds: float
    grown_mb: float
    accounted: int
    task_runs: int
    slowest_answer_s: float


def run() -> list[Figure]:
    """Measure a small build and a large one, then the large one again."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        few = _build(folder / "few", write_videos(folder / "few" / "in", FEW))
        shutil.rmtree(folder / "few")
        written = write_videos(folder / "many" / "in", MANY)
        many = _build(folder / "many", written)
        again, loaded = _again(written, folder / "many")
    counted = f"{MANY} videos, {1_000 // 10} a kind of bad data, {MANY // 1_000} a kind of killer"
    pace = f"{many.ms_a_video:.0f} and {few.ms_a_video:.0f} ms, both stages, two workers, deaths and deadlines included"
    return [
        at_least("videos accounted for by kind", many.accounted, MANY, counted),
        at_most(f"cost of a good video at {MANY} over that at {FEW}", many.ms_a_video / few.ms_a_video, 1.15, pace),
        at_most("driver memory above its start, MiB", many.grown_mb, 200, "resident, greatest, from the first video on"),
        at_most("Prefect task runs", many.task_runs, 200, "counted by the server"),
        at_most("slowest answer of the UI's API, s", many.slowest_answer_s, 1.0, "flow runs, asked once a second"),
        told("the whole flow, s", many.seconds, f"{few.seconds:.0f} s at {FEW}"),
        at_most("`stvg build` over the finished build, s", again, 5.0, f"whole process; loaded of Ray and Prefect: {loaded}"),
        at_most("of Ray and Prefect, loaded by it", len(loaded), 0, "modules"),
    ]


def _build(folder: Path, written: Written) -> Run:
    root = folder / "out"
    root.mkdir()
    with prefect_server(free_port(), folder / "prefect") as env:
        answers = _Answers(env)
        command = [sys.executable, "-m", "bench.scale_driver", str(written.annotations.parent), str(root)]
        subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        slowest = answers.stop()
        task_runs = int(ask(env, "task_runs/count", {}))
    told_ = json.loads((root / "pace.json").read_text())
    good = written.kinds["good"]
    seconds = sum(stage["seconds"] for stage in told_["pace"])
    grown = (max(told_["memory"]) - told_["memory"][0]) / 2**20
    return Run(1000 * seconds / good, told_["seconds"], grown, _accounted(root / "many", written.kinds), task_runs, slowest)


def _accounted(folder: Path, kinds: Mapping[str, int]) -> int:
    """Videos that ended as their kind must."""
    ends = Counter()
    for row in Dataset(folder).outcomes.to_pylist():
        kind = row["video_id"].split("-", 1)[1].removesuffix(".mp4")
        reason = {"good": ("done", ""), **{k: ("quarantined", KILLED_AS[k]) for k in KILLERS}}.get(kind, ("quarantined", kind))
        ends[kind] += (row["status"], row["reason"]) == reason
    assert sum(load_manifest(folder).counts.values()) == sum(kinds.values())
    return sum(min(ends[kind], count) for kind, count in kinds.items())


class _Answers:
    """Asks what the UI asks, once a second, and keeps the slowest answer's time."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env, self._over, self._slowest = env, threading.Event(), 0.0
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(1.0):
            started = time.perf_counter()
            ask(self._env, "flow_runs/filter", {"limit": 50, "sort": "START_TIME_DESC"})
            self._slowest = max(self._slowest, time.perf_counter() - started)

    def stop(self) -> float:
        """End, and return the slowest answer's seconds."""
        self._over.set()
        self._thread.join()
        return self._slowest


_AGAIN = """
import json, sys
from infra.cli import main
try:
    main()
finally:
    print(json.dumps(sorted({"ray", "prefect"} & set(sys.modules))), file=sys.stderr)
"""


def _again(written: Written, folder: Path) -> tuple[float, list[str]]:
    """Seconds of the command over a finished build, and which of Ray and Prefect it loaded."""
    given = parameters(written, folder / "out").model_dump(exclude_defaults=True)
    options = [arg for key, value in given.items() if key not in {"annotations", "videos"} for arg in _option(key, value)]
    command = [sys.executable, "-c", _AGAIN, "build", "own", given["annotations"], given["videos"], *options, "--json"]
    started = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.perf_counter() - started, json.loads(done.stderr.splitlines()[-1])


def _option(key: str, value: Any) -> list[str]:
    return [f"--{key.replace('_', '-')}", str(value)]
