"""Fifty drivers killed at a random moment of their work on one long-lived Ray, each run again until done, rows compared.

What a driver is doing stands in memory shared with the killer, who takes the kinds of moment in turn, one occurrence of it at
random, and a random part of the time that it takes undisturbed: so no kind is left out, however short it is.
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
from infra.ray_pool import PoolConfig, RayPool
from storage.folders import folder_at
from storage.manifest import load_manifest
from tasks.build import publish_build, run_frames, run_masks
from tasks.pipeline import BuildConfig
from tasks.plan import Build

DRIVERS, VIDEOS, SHARD = 50, 30, 5
PHASES = ("plan masks", "masks", "commit masks", "plan frames", "frames", "commit frames", "publish", "published")
SEED = 7


class Moment(NamedTuple):
    """What a driver does: one of `PHASES`, the how many-th thing it does, and since when."""

    phase: str
    number: int
    since: float


class Board:
    """A word of memory shared by a driver and who watches it."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 16)

    def write(self, phase: str) -> None:
        """Say what is done from now on."""
        number = self.read()[1] + 1
        self._memory[:8] = struct.pack("<ii", PHASES.index(phase), number)

    def read(self) -> tuple[str, int]:
        """The phase, and the how many-th it is; 0 before the first."""
        phase, number = struct.unpack("<ii", self._memory[:8])
        return PHASES[phase], number


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
            crashes[_killed(videos, root, moment, rng.uniform(0, 0.8 * lasts_s))] += 1
            _watched(videos, root, lambda _board, _pid: None)
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
    """Build undisturbed; returns, for each phase, the numbers of its moments and how long they took."""
    seen: list[Moment] = []

    def watch(board: Board, pid: int) -> None:
        while _alive(pid):
            phase, number = board.read()
            if number > len(seen):
                seen.append(Moment(phase, number, time.perf_counter()))
            time.sleep(0.0002)

    _watched(videos, root, watch)
    lasts: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for moment, after in pairwise(seen):
        lasts[moment.phase].append((moment.number, after.since - moment.since))
    return lasts


def _killed(videos: Any, root: Path, moment: int, after_s: float) -> str:
    """Kill a driver so long after its n-th moment began; returns the phase it was in then."""
    found = []

    def watch(board: Board, pid: int) -> None:
        while board.read()[1] < moment and _alive(pid):
            pass  # some moments are over within a sleep
        until = time.perf_counter() + after_s
        time.sleep(max(0.0, after_s - 0.002))
        while time.perf_counter() < until:
            pass
        found.append(board.read()[0])
        os.kill(pid, signal.SIGKILL)

    _watched(videos, root, watch, killed=True)
    return found[0]


def _watched(videos: Any, root: Path, watch: Callable[[Board, int], None], killed: bool = False) -> None:
    """Run a driver in a process of its own, watched from this one until it ends."""
    board = Board()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            _drive(videos, root, board)
            code = 0
        finally:
            os._exit(code)
    watch(board, pid)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code == 0 or (killed and code == -signal.SIGKILL), f"a driver ended with {code}"


def _alive(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def _drive(videos: Any, root: Path, board: Board) -> None:
    """The driver: a build whose workers write made-up rows, attached to the running Ray."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(scale_scribe)
    build = Build(folder_at(root / "set"), videos, BuildConfig())

    with _committing(board.write), RayPool(PoolConfig(workers=2, cpus=0.5, address="auto")) as pool:

        def fan_out(stage: str, _factory: object, jobs: Sequence[Any]) -> Iterator[Any]:
            board.write(stage)
            store = build.masks if stage == "masks" else build.frames
            yield from pool(partial(Scribe, store, stage), jobs)

        board.write("plan masks")
        masks = run_masks(build, partial(fan_out, "masks"), lambda _progress: None)
        board.write("plan frames")
        frames = run_frames(build, masks, partial(fan_out, "frames"), lambda _progress: None)
        board.write("publish")
        publish_build(build, masks, frames, 0.0)
        board.write("published")


@contextmanager
def _committing(enter: Callable[[str], None]) -> Iterator[None]:
    """Tell when a shard is committed, and when that is over."""
    import tasks.build
    from storage.stages import StageStore

    real, tasks.build.SHARD_VIDEOS = StageStore.commit, SHARD

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

    from infra.prefect_access import HOST, free_port
    from infra.prefect_local import stop

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
        stop(head.pid)


def _wait_for(host: str, port: int) -> None:
    import socket

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex((host, port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError("the Ray head did not come up")
