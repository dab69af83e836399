"""The one door to Ray: a fixed pool of actors that do one video after another.

Each actor holds one worker, and so its models, for its whole life, and one video at a time, so that a death has one
culprit. Only jobs go in and outcomes come out: no frame and no mask crosses the object store.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any

from infra.actors import Actors, Task
from infra.ray_session import ray_session
from storage.outcomes import Outcome
from tasks.build import Ended
from tasks.datasets.base import VideoJob
from tasks.pipeline import WorkerFactory


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
        recycle_after: videos after which a worker is replaced by a fresh one, which returns whatever memory it lost; 0 never.
        address: of a running Ray cluster; None starts a Ray of its own on this machine.
    """

    workers: int = 0
    cpus: float = 1.0
    gpus: float = 0.0
    deadline_s: float = 3600.0
    deaths: int = 3
    tries: int = 2
    recycle_after: int = 0
    address: str | None = None


@dataclass
class RayPool:
    """A `tasks.build.FanOut` on Ray. A context manager: Ray starts with the first job and ends with the block."""

    config: PoolConfig = field(default_factory=PoolConfig)
    _session: ExitStack | None = None

    def __enter__(self) -> RayPool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def __call__(self, factory: WorkerFactory, jobs: Sequence[VideoJob]) -> Iterator[Ended]:
        """Run jobs on a fresh set of actors, which end with the last of them.

        Raises:
            WorkerError: the workers cannot start.
        """
        if self._session is None:
            self._session = ExitStack()
            self._session.enter_context(ray_session(self.config.address, self.config.workers))
        count = min(self.config.workers or _cpus(), len(jobs))
        actors = Actors(factory, count, self.config.cpus, self.config.gpus, self.config.recycle_after)
        try:
            yield from _drive(actors, jobs, self.config)
        finally:
            actors.stop()


def _cpus() -> int:
    import ray

    return int(ray.cluster_resources().get("CPU", 1))


def _drive(actors: Actors, jobs: Sequence[VideoJob], config: PoolConfig) -> Iterator[Ended]:
    waiting = deque(Task(job) for job in jobs)
    while waiting or actors.busy:
        while actors.free and waiting and waiting[0].not_before <= time.monotonic():
            actors.give(waiting.popleft())
        for ended, task in _next_endings(actors, _patience(actors, waiting, config), config):
            again = _again(task, ended.outcome, config)
            if again is None:
                yield replace(ended, outcome=_final(task, ended.outcome, config))
            else:
                waiting.append(again)


def _next_endings(actors: Actors, patience_s: float, config: PoolConfig) -> Iterator[tuple[Ended, Task]]:
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


def _patience(actors: Actors, waiting: deque[Task], config: PoolConfig) -> float:
    """Seconds until a deadline passes or a waiting job comes due."""
    now = time.monotonic()
    due = [task.started + config.deadline_s for _, task in actors.busy.values()]
    if waiting and actors.free:
        due.append(waiting[0].not_before)
    return max(0.01, min(due, default=now + 60) - now + 0.01)


def _collect(actors: Actors, reference: Any) -> tuple[Ended, Task]:
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
    task = actors.finished(reference)
    return Ended(task.job, outcome), task


def _stop_late(actors: Actors, reference: Any, config: PoolConfig) -> tuple[Ended, Task]:
    task = actors.replace(reference)
    task.deaths += 1
    detail = f"it was stopped after {config.deadline_s:g} s"
    return Ended(task.job, Outcome("failed", "deadline", detail, seconds=config.deadline_s), recorded=False), task


def _again(task: Task, outcome: Outcome, config: PoolConfig) -> Task | None:
    """The task, if it is worth another try: a killer of workers `deaths` times in all, another failure `tries` times."""
    if outcome.status != "failed":
        return None
    allowed = task.deaths < config.deaths if task.deaths else task.tries < config.tries
    task.not_before = time.monotonic() + random.uniform(0.05, 0.2) * 2**task.tries  # noqa: S311
    return task if allowed else None


def _final(task: Task, outcome: Outcome, config: PoolConfig) -> Outcome:
    """The outcome with its attempts; a video that killed `deaths` workers is quarantined."""
    if outcome.status == "failed" and task.deaths >= config.deaths:
        detail = f"{outcome.detail}, {task.deaths} times"
        return Outcome("quarantined", outcome.reason, detail, task.tries, outcome.seconds)
    return replace(outcome, attempts=task.tries)
