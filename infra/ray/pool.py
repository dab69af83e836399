"""A fixed pool of actors that do one video after another.

Each actor holds one worker, and so its models, for its whole life, and one video at a time, so that a death has one
culprit. Only jobs go in and outcomes come out: no frame and no mask crosses the object store.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

from infra.ray.actors import Actors
from infra.ray.poison import NODE_LOST, Breaker, Task, Waiting
from infra.ray.session import ray_session
from storage.common.log import logger
from storage.outcomes import Outcome
from tasks.benchmarks.samples import VideoJob
from tasks.build.pool import PoolConfig
from tasks.build.run import Ended
from tasks.build.workers import WorkerFactory

_LOG = logger(__name__)


@dataclass
class RayPool:
    """A `tasks.build.run.FanOut` on Ray. A context manager: Ray starts with the first job and ends with the block."""

    config: PoolConfig = PoolConfig()  # noqa: RUF009  frozen
    address: str = ""
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
            self._session.enter_context(ray_session(self.address or None, self.config.workers))
        count = min(self.config.workers or _cpus(), len(jobs))
        actors = Actors(factory, count, self.config)
        try:
            yield from _drive(actors, jobs, self.config)
        finally:
            actors.stop()


def _cpus() -> int:
    import ray

    return int(ray.cluster_resources().get("CPU", 1))


def _drive(actors: Actors, jobs: Sequence[VideoJob], config: PoolConfig) -> Iterator[Ended]:
    waiting = Waiting(Task(job) for job in jobs)
    breaker = Breaker(config.retries, actors.count)
    while waiting or actors.busy:
        while actors.free and (task := waiting.next()) is not None:
            actors.give(task)
        actors.check_placed(config.placed_within_s)
        for ended, task in _next_endings(actors, _wait_s(actors, waiting, config), config):
            task.note(ended.outcome.reason)
            breaker.note(task, ended.outcome)
            if task.again(ended.outcome, config.retries):
                waiting.later(task)
            else:
                yield replace(ended, outcome=task.final(ended.outcome, config.retries))


def _next_endings(actors: Actors, wait_s: float, config: PoolConfig) -> Iterator[tuple[Ended, Task]]:
    """Wait for something to happen, at most `wait_s`; yield what ended or was overdue."""
    import ray

    references = [*actors.busy, *actors.starting]
    if not references:
        time.sleep(wait_s)
        return
    ready, _ = ray.wait(references, timeout=wait_s)
    for reference in ready:
        if reference in actors.starting:
            actors.started(reference)
        else:
            yield _collect(actors, reference)
    now = time.monotonic()
    for reference in [r for r, (_, task) in actors.busy.items() if now - task.started > config.deadline_s]:
        yield _stop_late(actors, reference, config)


def _wait_s(actors: Actors, waiting: Waiting, config: PoolConfig) -> float:
    """Seconds until a deadline passes or a job that was put off comes due."""
    now = time.monotonic()
    due = [now + min(60.0, config.placed_within_s)]
    due += [task.started + config.deadline_s for _, task in actors.busy.values()]
    if actors.free and waiting.due is not None:
        due.append(waiting.due)
    return max(0.01, min(due) - now + 0.01)


def _collect(actors: Actors, reference: Any) -> tuple[Ended, Task]:
    import ray

    try:
        outcome = ray.get(reference)
    except ray.exceptions.RayError as error:
        task = actors.replace(reference)
        return Ended(task.job, _failure(error), recorded=False), task
    task = actors.finished(reference)
    return Ended(task.job, outcome), task


def _failure(error: Exception) -> Outcome:
    """What a try came to whose worker sent back no outcome."""
    from ray import exceptions

    message = str(error)
    if isinstance(error, (exceptions.NodeDiedError, exceptions.ActorUnavailableError)) or "node has died" in message:
        return Outcome("failed", NODE_LOST, "the machine it ran on was lost")
    if isinstance(error, exceptions.OutOfMemoryError):
        return Outcome("failed", "worker_out_of_memory", "its worker was stopped since the machine's memory ran out")
    if isinstance(error, (exceptions.RayActorError, exceptions.WorkerCrashedError)):
        return Outcome("failed", "worker_died", "its worker process died")
    _LOG.error("unexpected error of a worker: %s", message)
    lines = message.splitlines() or [type(error).__name__]
    return Outcome("failed", "worker_error", "\n".join([lines[-1], *lines]))  # Ray's message is the remote traceback


def _stop_late(actors: Actors, reference: Any, config: PoolConfig) -> tuple[Ended, Task]:
    task = actors.replace(reference)
    detail = f"it was stopped after {config.deadline_s:g} s"
    return Ended(task.job, Outcome("failed", "deadline", detail, seconds=config.deadline_s), recorded=False), task
