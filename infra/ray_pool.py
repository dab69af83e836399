"""The one door to Ray: a fixed pool of actors that do one video after another.

Each actor holds one worker, and so its models, for its whole life, and one video at a time, so that a death has one
culprit. Only jobs go in and outcomes come out: no frame and no mask crosses the object store.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from storage.outcomes import Outcome
from tasks.build import Ended
from tasks.datasets.base import VideoJob
from tasks.pipeline import Worker, WorkerFactory


class WorkerError(Exception):
    """A worker that cannot start: nothing is wrong with any video, so the run stops."""


@dataclass(frozen=True)
class PoolConfig:
    """How many workers, and their limits; nothing here shapes a dataset.

    Attributes:
        workers: actors; 0 takes one a CPU.
        cpus: CPUs of each.
        gpus: GPUs of each, fractions allowed.
        deadline_s: a video still running after so long is stopped with its worker.
        deaths: workers a video may kill before it is quarantined.
        tries: how often a video that failed is tried in one run.
        address: of a running Ray cluster; None starts a Ray of its own on this machine.
    """

    workers: int = 0
    cpus: float = 1.0
    gpus: float = 0.0
    deadline_s: float = 3600.0
    deaths: int = 3
    tries: int = 2
    address: str | None = None


@dataclass
class _Task:
    """A job on its way: how often it was tried, how many workers it killed, when it may run and when it started."""

    job: VideoJob
    tries: int = 0
    deaths: int = 0
    not_before: float = 0.0
    started: float = 0.0


@dataclass
class RayPool:
    """A `tasks.build.FanOut` on Ray. A context manager: Ray starts with the first job and ends with the block."""

    config: PoolConfig = field(default_factory=PoolConfig)
    _temporary: Path | None = None
    _open: bool = False

    def __enter__(self) -> RayPool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._open:
            import ray

            ray.shutdown()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
        self._open, self._temporary = False, None

    def __call__(self, factory: WorkerFactory, jobs: Sequence[VideoJob]) -> Iterator[Ended]:
        """Run jobs on a fresh set of actors, which end with the last of them.

        Raises:
            WorkerError: the workers cannot start.
        """
        self._start()
        count = min(self.config.workers or self.cpus(), len(jobs))
        actors = _Actors(factory, count, self.config)
        try:
            yield from _drive(actors, jobs, self.config)
        finally:
            actors.stop()

    def cpus(self) -> int:
        """CPUs of the cluster."""
        import ray

        return int(ray.cluster_resources().get("CPU", 1))

    def _start(self) -> None:
        if self._open:
            return
        _set_environment(local=self.config.address is None)
        import ray

        if self.config.address is None:
            self._start_local()
        else:
            ray.init(address=self.config.address, log_to_driver=False)
        self._open = True

    def _start_local(self) -> None:
        import ray

        self._temporary = Path(tempfile.mkdtemp(prefix="stvg-ray-"))
        ray.init(
            num_cpus=max(self.config.workers, os.cpu_count() or 1),
            include_dashboard=False,
            log_to_driver=False,
            logging_level="WARNING",
            object_store_memory=100 * 2**20,
            _temp_dir=str(self._temporary),
        )


def _set_environment(local: bool) -> None:
    """Set what Ray reads once, when it is first imported; too late, it is left alone.

    A local Ray gets a token of its own: it keeps strangers on this machine out, and no file goes to the home folder.
    """
    if "ray" in sys.modules:
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if local and os.environ.setdefault("RAY_AUTH_MODE", "token") == "token":
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


class _Actor:
    """Runs in a Ray worker process. `start` builds the worker apart from the constructor, so that a failure has a cause."""

    def __init__(self, factory: WorkerFactory) -> None:
        self._factory = factory
        self._worker: Worker | None = None

    def start(self) -> None:
        self._worker = self._factory()

    def run(self, job: VideoJob) -> Outcome:
        assert self._worker is not None
        return self._worker.run(job)


class _Actors:
    """The actors of a pool: those starting, those at work, those free, and how to replace one."""

    def __init__(self, factory: WorkerFactory, count: int, config: PoolConfig) -> None:
        import ray

        self._remote = ray.remote(num_cpus=config.cpus, num_gpus=config.gpus, max_restarts=0, max_task_retries=0)(_Actor)
        self._factory = factory
        self.starting: dict[Any, Any] = {}
        self.busy: dict[Any, tuple[Any, _Task]] = {}
        self.free: list[Any] = []
        for _ in range(count):
            self._add()

    def _add(self) -> None:
        actor = self._remote.remote(self._factory)
        self.starting[actor.start.remote()] = actor

    def started(self, reference: Any) -> None:
        """Take an actor that has started into service.

        Raises:
            WorkerError: it could not start.
        """
        import ray

        actor = self.starting.pop(reference)
        try:
            ray.get(reference)
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None) or error
            raise WorkerError(f"the workers cannot start: {cause}") from error
        self.free.append(actor)

    def give(self, task: _Task) -> None:
        actor = self.free.pop()
        task.tries, task.started = task.tries + 1, time.monotonic()
        self.busy[actor.run.remote(task.job)] = actor, task

    def replace(self, reference: Any) -> _Task:
        """Kill the actor at work on `reference` and put a fresh one in its place."""
        import ray

        actor, task = self.busy.pop(reference)
        ray.kill(actor)
        self._add()
        return task

    def stop(self) -> None:
        import ray

        for actor in [*self.free, *self.starting.values(), *(actor for actor, _ in self.busy.values())]:
            ray.kill(actor)


def _drive(actors: _Actors, jobs: Sequence[VideoJob], config: PoolConfig) -> Iterator[Ended]:
    waiting = deque(_Task(job) for job in jobs)
    while waiting or actors.busy:
        while actors.free and waiting and waiting[0].not_before <= time.monotonic():
            actors.give(waiting.popleft())
        for ended, task in _next_endings(actors, _patience(actors, waiting, config), config):
            again = _again(task, ended.outcome, config)
            if again is None:
                yield replace(ended, outcome=_final(task, ended.outcome, config))
            else:
                waiting.append(again)


def _next_endings(actors: _Actors, patience_s: float, config: PoolConfig) -> Iterator[tuple[Ended, _Task]]:
    """Wait for something to happen, at most `patience_s`; yield what ended or was overdue."""
    import ray

    references = [*actors.busy, *actors.starting]
    if not references:
        time.sleep(patience_s)
        return
    ready, _ = ray.wait(references, timeout=patience_s)
    for reference in ready:
        if reference in actors.starting:
            actors.started(reference)
        else:
            yield _collect(actors, reference)
    now = time.monotonic()
    for reference in [r for r, (_, task) in actors.busy.items() if now - task.started > config.deadline_s]:
        yield _stop_late(actors, reference, config)


def _patience(actors: _Actors, waiting: deque[_Task], config: PoolConfig) -> float:
    """Seconds until a deadline passes or a waiting job comes due."""
    now = time.monotonic()
    due = [task.started + config.deadline_s for _, task in actors.busy.values()]
    if waiting and actors.free:
        due.append(waiting[0].not_before)
    return max(0.01, min(due, default=now + 60) - now + 0.01)


def _collect(actors: _Actors, reference: Any) -> tuple[Ended, _Task]:
    import ray

    try:
        outcome = ray.get(reference)
    except ray.exceptions.RayActorError:
        task = actors.replace(reference)
        task.deaths += 1
        return Ended(task.job, Outcome("failed", "worker_died", "its worker process died"), recorded=False), task
    except ray.exceptions.RayError as error:
        task = actors.replace(reference)
        return Ended(task.job, Outcome("failed", "worker_error", str(error).splitlines()[-1]), recorded=False), task
    actor, task = actors.busy.pop(reference)
    actors.free.append(actor)
    return Ended(task.job, outcome), task


def _stop_late(actors: _Actors, reference: Any, config: PoolConfig) -> tuple[Ended, _Task]:
    task = actors.replace(reference)
    task.deaths += 1
    detail = f"it was stopped after {config.deadline_s:g} s"
    return Ended(task.job, Outcome("failed", "deadline", detail, seconds=config.deadline_s), recorded=False), task


def _again(task: _Task, outcome: Outcome, config: PoolConfig) -> _Task | None:
    """The task, if it is worth another try: a killer of workers `deaths` times in all, another failure `tries` times."""
    if outcome.status != "failed":
        return None
    allowed = task.deaths < config.deaths if task.deaths else task.tries < config.tries
    task.not_before = time.monotonic() + random.uniform(0.05, 0.2) * 2**task.tries  # noqa: S311
    return task if allowed else None


def _final(task: _Task, outcome: Outcome, config: PoolConfig) -> Outcome:
    """The outcome with its attempts; a video that killed `deaths` workers is quarantined."""
    if outcome.status == "failed" and task.deaths >= config.deaths:
        detail = f"{outcome.detail}, {task.deaths} times"
        return Outcome("quarantined", outcome.reason, detail, task.tries, outcome.seconds)
    return replace(outcome, attempts=task.tries)
