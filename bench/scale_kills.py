"""Fifty drivers killed at a random moment of their work on one long-lived Ray, each run again until done, rows compared.

The kinds of moment are taken in turn, one occurrence at random, and a random part of the time it takes undisturbed. Some last a
millisecond, which nobody outside the driver could meet on a busy machine: the driver sets an alarm clock of the kernel's when
it gets there, and the kernel ends it without a word, as kill -9 does.
"""

from __future__ import annotations

import mmap
import os
import random
import shutil
import signal
import struct
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from bench import scale_scribe
from bench.figures import Figure, at_least, told
from bench.scale_scribe import Scribe, benchmark
from infra.ray.pool import RayPool
from storage.folders.open import folder_at
from storage.manifest import load_manifest
from tasks.build.plan import Build
from tasks.build.pool import PoolConfig
from tasks.build.run import publish_build, run_frames, run_masks
from tasks.build.stages import BuildConfig

DRIVERS, VIDEOS, SHARD = 50, 30, 5
PHASES = ("plan masks", "masks", "commit masks", "plan frames", "frames", "commit frames", "publish", "published")
SEED = 7


class Moment(NamedTuple):
    """What a driver does: one of `PHASES`, and since when, seconds of a clock that all processes share."""

    phase: str
    since: float


class Diary:
    """What a driver did, in memory that outlives it; and in which of its moments it is to die, if it is."""

    _ENTRY, _MOST = struct.Struct("<id"), 10_000

    def __init__(self, fatal: int = -1, after_s: float = 0.0) -> None:
        self._memory = mmap.mmap(-1, self._ENTRY.size * self._MOST + 8)
        self._fatal, self._after_s = fatal, after_s

    def write(self, phase: str) -> None:
        """Say what is done from now on; in the fatal moment, die so many seconds from now."""
        count = self._count()
        self._ENTRY.pack_into(self._memory, 8 + count * self._ENTRY.size, PHASES.index(phase), time.perf_counter())
        self._memory[:8] = struct.pack("<q", count + 1)
        if count == self._fatal:
            signal.setitimer(signal.ITIMER_REAL, max(self._after_s, 1e-6))

    def read(self) -> list[Moment]:
        """Its moments, in order."""
        entries = (self._ENTRY.unpack_from(self._memory, 8 + n * self._ENTRY.size) for n in range(self._count()))
        return [Moment(PHASES[phase], since) for phase, since in entries]

    def _count(self) -> int:
        count: int = struct.unpack("<q", self._memory[:8])[0]
        return count


def run() -> list[Figure]:
    """Kill, run again, compare."""
    rng, crashes, same = random.Random(SEED), Counter(dict.fromkeys(PHASES[:-1], 0)), 0
    with tempfile.TemporaryDirectory() as name, _long_lived_ray(Path(name) / "ray"):
        folder = Path(name)
        videos = benchmark(folder / "videos", VIDEOS)
        timeline = _undisturbed(videos, folder / "whole")
        expected = load_manifest(folder / "whole" / "set").content_hash
        for number in range(DRIVERS):
            root = folder / f"killed-{number}"
            phase = PHASES[number % (len(PHASES) - 1)]
            moment, lasts_s = rng.choice(timeline[phase])
            crashes[_driven(videos, root, Diary(moment, rng.uniform(0, 0.8 * lasts_s)))] += 1
            _driven(videos, root, Diary())
            same += load_manifest(root / "set").content_hash == expected
            shutil.rmtree(root)
    histogram = ", ".join(f"{phase} {count}" for phase, count in crashes.items())
    return [
        at_least(
            "killed drivers whose dataset, run again, is the undisturbed one", same, DRIVERS, f"of {DRIVERS}, {VIDEOS} videos"
        ),
        at_least("least kills of any kind of crash point", min(crashes[p] for p in PHASES[:-1]), 1, histogram),
        told("killed after all was published", crashes["published"], "too late to matter"),
    ]


def _undisturbed(videos: Any, root: Path) -> dict[str, list[tuple[int, float]]]:
    """Build undisturbed; returns, for each phase, which of the driver's moments it was and how long it took."""
    diary = Diary()
    _driven(videos, root, diary)
    lasts: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for number, (moment, after) in enumerate(pairwise(diary.read())):
        lasts[moment.phase].append((number, after.since - moment.since))
    return lasts


def _driven(videos: Any, root: Path, diary: Diary) -> str:
    """Run a driver in a process of its own; returns the last phase it was in."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            _drive(videos, root, diary)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in {0, -signal.SIGALRM}, f"a driver ended with {code}"
    return diary.read()[-1].phase


def _drive(videos: Any, root: Path, diary: Diary) -> None:
    """The driver: a build whose workers write made-up rows, attached to the running Ray."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(scale_scribe)
    build = Build(folder_at(root / "set"), videos, BuildConfig(detector="motion"))

    with _committing(diary.write), RayPool(PoolConfig(workers=2, cpus_per_worker=0.5), "auto") as pool:

        def fan_out(stage: str, _factory: object, jobs: Sequence[Any]) -> Iterator[Any]:
            diary.write(stage)
            store = build.masks if stage == "masks" else build.frames
            yield from pool(partial(Scribe, store, stage), jobs)

        diary.write("plan masks")
        masks = run_masks(build, partial(fan_out, "masks"), lambda _progress: None)
        diary.write("plan frames")
        frames = run_frames(build, masks, partial(fan_out, "frames"), lambda _progress: None)
        diary.write("publish")
        publish_build(build, masks, frames, 0.0)
        diary.write("published")


@contextmanager
def _committing(enter: Callable[[str], None]) -> Iterator[None]:
    """Tell when a shard is committed, and when that is over."""
    import tasks.build.run
    from storage.stages import StageStore

    real, tasks.build.run.SHARD_VIDEOS = StageStore.commit, SHARD

    def commit(self: StageStore, videos: Sequence[str]) -> Any:
        enter(f"commit {self.spec.name}")
        committed = real(self, videos)
        enter(self.spec.name)
        return committed

    StageStore.commit = commit  # type: ignore[method-assign]
    yield


@contextmanager
def _long_lived_ray(folder: Path) -> Iterator[None]:
    """A Ray head that outlives every driver; ended by its process ID."""
    import secrets
    import subprocess

    from infra.prefect.access import HOST, free_port
    from storage.common.processes import stop_process_tree

    folder.mkdir()
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}
    port = free_port()
    os.environ.update(token, RAY_ADDRESS=f"{HOST}:{port}")
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--num-cpus=4"]
    command += [f"--port={port}", f"--node-ip-address={HOST}", "--include-dashboard=false"]
    command += ["--object-store-memory=100000000", f"--temp-dir={tempfile.mkdtemp(prefix='ray-', dir='/tmp')}"]
    with (folder / "head.log").open("wb") as log:
        head = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _wait_for(HOST, port)
        yield
    finally:
        stop_process_tree(head.pid)


def _wait_for(host: str, port: int) -> None:
    import socket

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex((host, port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError("the Ray head did not come up")
