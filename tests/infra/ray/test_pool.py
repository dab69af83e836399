from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.ray.pool import RayPool, _failure
from infra.ray.private import patient_start
from infra.ray.retry import WorkerError
from storage.common.config import changed
from storage.outcomes import Outcome
from tasks.benchmarks.samples import VideoJob
from tasks.build.pool import PoolConfig
from tasks.build.run import Ended
from tasks.video.reader import Source, open_video

pytestmark = pytest.mark.heavy


class Scripted:
    """A worker that does what the video's name says."""

    def __init__(self) -> None:
        self.done = 0

    def run(self, job: VideoJob) -> Outcome:
        name = job.source.video_id.split("-")[0]
        self.done += 1
        if name == "die":
            os._exit(1)
        if name == "segfault":
            ctypes.string_at(0)
        if name == "oom":
            os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does when memory runs out
        if name == "decode":
            open_video(job.source)
        if name == "hang":
            time.sleep(600)
        if name == "flaky" and not job.source.path.exists():
            job.source.path.touch()
            return Outcome("failed", "error", "first time")
        if name == "fail":
            return Outcome("failed", "error", "every time")
        if name == "raise":
            raise RuntimeError("a bug in the worker")
        return Outcome("done", detail=f"{os.getpid()} {self.done}")


class Unable:
    def __init__(self) -> None:
        raise FileNotFoundError("no weight file 'yolo12x.pt'")


@pytest.fixture(scope="module")
def pool() -> Iterator[RayPool]:
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with RayPool(PoolConfig(workers=2, deadline_s=1.5)) as opened:
        yield opened


def run(pool: RayPool, *names: str, folder: Path = Path("/nowhere")) -> dict[str, Ended]:
    jobs = [VideoJob(Source(name, folder / name), ()) for name in names]
    ended = list(pool(Scripted, jobs))
    assert sorted(e.job.source.video_id for e in ended) == sorted(names), "every job ends once"
    return {e.job.source.video_id: e for e in ended}


def test_workers_are_built_once_and_share_the_videos(pool: RayPool) -> None:
    ended = run(pool, *[f"good-{n}" for n in range(40)])
    assert all(e.recorded and e.outcome.status == "done" for e in ended.values())
    counted: dict[str, list[int]] = {}
    for pid, nth in (e.outcome.detail.split() for e in ended.values()):
        counted.setdefault(pid, []).append(int(nth))
    assert 1 <= len(counted) <= 2
    assert all(sorted(nths) == list(range(1, len(nths) + 1)) for nths in counted.values()), "built once, and kept"


def test_workers_are_recycled_after_so_many_videos(pool: RayPool) -> None:
    recycling = RayPool(changed(pool.config, {"workers": 1, "recycle_after": 3}), _session=pool._session)
    ended = run(recycling, *[f"good-{n}" for n in range(8)])
    counted: dict[str, list[int]] = {}
    for pid, nth in (e.outcome.detail.split() for e in ended.values()):
        counted.setdefault(pid, []).append(int(nth))
    assert sorted(map(len, counted.values())) == [2, 3, 3]
    assert all(e.recorded and e.outcome.attempts == 1 for e in ended.values())


def test_a_video_that_kills_or_hangs_its_worker_is_quarantined_alone(pool: RayPool) -> None:
    ended = run(pool, "good-1", "die-1", "hang-1", "good-2", "good-3")
    assert [ended[f"good-{n}"].outcome.status for n in (1, 2, 3)] == ["done"] * 3
    for name, reason in (("die-1", "worker_died"), ("hang-1", "deadline")):
        outcome = ended[name].outcome
        assert (outcome.status, outcome.reason, outcome.attempts) == ("quarantined", reason, 3)
        assert not ended[name].recorded


def test_native_crashes_and_hanging_decodes_are_contained_alike(pool: RayPool, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "decode-1")  # whoever opens it waits for ever
    ended = run(pool, "segfault-1", "oom-1", "decode-1", "good-1", folder=tmp_path)
    assert ended["good-1"].outcome.status == "done"
    found = {name: (e.outcome.status, e.outcome.reason, e.outcome.attempts) for name, e in ended.items() if name != "good-1"}
    assert found == {
        "segfault-1": ("quarantined", "worker_died", 3),
        "oom-1": ("quarantined", "worker_died", 3),
        "decode-1": ("quarantined", "deadline", 3),
    }


def test_a_breaker_stops_a_run_whose_workers_all_die(pool: RayPool) -> None:
    brittle = RayPool(changed(pool.config, {"retries.breaker": 4}), _session=pool._session)
    jobs = [VideoJob(Source(f"die-{n}", Path("/nowhere")), ()) for n in range(40)]
    with pytest.raises(WorkerError, match=r"4 videos in a row each ended their worker .*worker_died"):
        list(brittle(Scripted, jobs))


def test_a_cluster_without_room_for_any_worker_is_said_to_be_so(pool: RayPool) -> None:
    greedy = RayPool(changed(pool.config, {"cpus_per_worker": 1000, "placed_within_s": 0.5}), _session=pool._session)
    with pytest.raises(WorkerError, match=r"no worker came up within 0.5 s: the Ray cluster lacks the CPUs or GPUs"):
        list(greedy(Scripted, [VideoJob(Source("good-1", Path("/nowhere")), ())]))


def test_a_failure_is_tried_again_within_the_run(pool: RayPool, tmp_path: Path) -> None:
    ended = run(pool, "flaky-1", "fail-1", "raise-1", folder=tmp_path)
    assert (ended["flaky-1"].outcome.status, ended["flaky-1"].outcome.attempts) == ("done", 2)
    assert (ended["fail-1"].outcome.status, ended["fail-1"].outcome.attempts) == ("failed", 2)
    assert ended["raise-1"].outcome.reason == "worker_error"
    assert "a bug in the worker" in ended["raise-1"].outcome.detail


def test_what_ray_says_of_a_worker_that_is_gone_is_told_apart() -> None:
    from ray import exceptions

    said = {
        exceptions.OutOfMemoryError("memory on the node was low"): "worker_out_of_memory",
        exceptions.ActorUnavailableError("RpcError: Socket closed", None): "node_lost",
        exceptions.NodeDiedError("the node died"): "node_lost",
        exceptions.ActorDiedError(): "worker_died",
        exceptions.RaySystemError("no such thing"): "worker_error",
    }
    assert {error: _failure(error).reason for error in said} == said
    assert all(_failure(error).status == "failed" for error in said)


def test_workers_that_cannot_start_stop_the_run_with_their_reason(pool: RayPool) -> None:
    with pytest.raises(WorkerError, match=r"no weight file 'yolo12x\.pt'"):
        list(pool(Unable, [VideoJob(Source("a", Path("/a")), ())]))


def test_a_pool_that_has_nothing_to_do_starts_no_ray() -> None:
    with RayPool(PoolConfig()) as idle:
        assert idle._session is None


def test_a_ray_that_starts_slowly_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray._private import services

    attempts = []

    def late(_address: str, node: str) -> dict[str, str]:
        attempts.append(node)
        if len(attempts) < 3:
            raise RuntimeError("no such node yet")
        return {"node_id": node}

    monkeypatch.setattr(services, "get_node", late)
    with patient_start(60):
        assert services.get_node("gcs", "a") == {"node_id": "a"}
    attempts.clear()
    with patient_start(0), pytest.raises(RuntimeError):
        services.get_node("gcs", "b")
    assert services.get_node is late


def test_a_ray_that_does_not_start_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    def slow(**_: object) -> None:
        raise Exception("The current node timed out during startup. This could happen because the GCS is overloaded.")

    monkeypatch.setattr(ray, "init", slow)
    with pytest.raises(WorkerError, match="Ray did not start on this machine in time"), RayPool(PoolConfig(workers=1)) as pool:
        list(pool(Scripted, [VideoJob(Source("a", Path("a")), ())]))
