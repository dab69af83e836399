"""What the machinery costs: videos that need no work, through the real door to Ray and through a real Prefect flow."""

from __future__ import annotations

import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from bench.figures import Figure, at_most, told
from infra.ray.pool import RayPool
from storage.commit import BundleEntry
from storage.folders.open import folder_at
from storage.outcomes import Outcome
from storage.stages import StageStore
from tasks.benchmarks.samples import Benchmark, Clip, VideoJob
from tasks.build.plan import Build
from tasks.build.pool import PoolConfig
from tasks.build.run import run_masks
from tasks.build.stages import BuildConfig
from tasks.video.reader import Source

VIDEOS = 2000


class NoWork:
    """A worker with nothing to do but to say that it is done."""

    def __init__(self, store: StageStore | None = None) -> None:
        self._store = store

    def run(self, job: VideoJob) -> Outcome:
        """End at once; keep the outcome as a part where a store is given."""
        outcome = Outcome("filtered", "no_work")
        if self._store is not None:
            self._store.write_part(BundleEntry(job.source.video_id, "missing", outcome), {})
        return outcome


def run() -> list[Figure]:
    """Time the pool alone, then a whole stage: plan, pool, parts, shards."""
    with tempfile.TemporaryDirectory() as root, RayPool(PoolConfig(workers=2)) as pool:
        jobs = [VideoJob(Source(f"{n:05d}.mp4", Path(root) / f"{n:05d}.mp4"), (Clip("c"),)) for n in range(VIDEOS)]
        list(pool(NoWork, jobs[:10]))
        _pickle_by_value()
        started = time.perf_counter()
        assert sum(1 for _ in pool(NoWork, jobs)) == VIDEOS
        door = time.perf_counter() - started
        build = Build(folder_at(Path(root) / "bench"), Benchmark(jobs), BuildConfig(detector="motion"))
        started = time.perf_counter()
        run_masks(build, lambda _factory, todo: pool(partial(NoWork, build.masks), todo), lambda _progress: None)
        stage = time.perf_counter() - started
    return [
        at_most("door to Ray, ms a video", 1000 * door / VIDEOS, 5.0, f"{VIDEOS} no-op videos, 2 actors, their start included"),
        at_most("whole stage, ms a video", 1000 * stage / VIDEOS, 5.0, "plan, door, parts, shards committed, plan again"),
        *_prefect(),
    ]


def _pickle_by_value() -> None:
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])


def _prefect() -> list[Figure]:
    """Build 2,000 files that are no videos through `build-dataset/folder` and count the task runs."""
    import json
    import subprocess

    from infra.cli.server import prefect_server
    from infra.prefect.access import ask, free_port

    with tempfile.TemporaryDirectory() as root, prefect_server(free_port(), Path(root) / "prefect") as env:
        videos = Path(root) / "videos"
        videos.mkdir()
        for n in range(VIDEOS):
            (videos / f"{n:05d}.mp4").touch()
        given = {"root": root, "videos": str(videos), "error_budget": 1.0, "detector": "motion"}
        arguments = [arg for key, value in given.items() for arg in ("--param", f"{key}={json.dumps(value)}")]
        command = [sys.executable, "-m", "prefect", "deployment", "run", "build-dataset/folder", "--watch", *arguments]
        started = time.perf_counter()
        subprocess.run(command, env=env, check=True, capture_output=True)
        wall = time.perf_counter() - started
        task_runs = ask(env, "task_runs/count", {})
    return [
        at_most("Prefect task runs of a build", task_runs, 60, f"build-dataset/folder over {VIDEOS} empty files"),
        told("that flow from command to end, s", wall, "flow process, ray.init, and a diagnosis a file included"),
    ]
