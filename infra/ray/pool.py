"""A pool of Ray actors that run the jobs of a build.

Each actor holds one worker, and so its models, for its whole life, and runs one video at a time, so that every death has one
cause. Jobs go in and outcomes come out: no frame and no mask passes the object store.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

from infra.ray.actors import Actors
from infra.ray.retry import NODE_LOST, Attempt, AttemptQueue, CircuitBreaker
from infra.ray.session import ray_session
from storage.common.log import logger
from storage.outcomes import Outcome
from tasks.benchmarks.samples import VideoJob
from tasks.build.pool import PoolConfig
from tasks.build.run import Ended, FanOut, run_here
from tasks.build.workers import WorkerFactory

_LOG = logger(__name__)


@dataclass
class RayPool:
    """A `tasks.build.run.FanOut` on Ray; a context manager: Ray starts with the first job and ends with the block.

    Attributes:
        config: the workers and their limits.
        address: `host:port` of a cluster to join, or `auto`; empty starts a local Ray.
    """

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
        """Run jobs on new actors, which end with the last job.

        Args:
            factory: builds the worker of each actor.
            jobs: videos, in any order.

        Raises:
            WorkerError: the workers cannot start or do not survive.
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
    queue = AttemptQueue(Attempt(job) for job in jobs)
    breaker = CircuitBreaker(config.retries, actors.count)
    while queue or actors.busy:
        while actors.free and (attempt := queue.pop()) is not None:
            actors.give(attempt)
        actors.check_placed(config.placed_within_s)
        for ended, attempt in _next_endings(actors, _wait_s(actors, queue, config), config):
            attempt.count_loss(ended.outcome.reason)
            breaker.record(attempt, ended.outcome)
            if attempt.retry_after(ended.outcome, config.retries):
                queue.delay(attempt)
            else:
                yield replace(ended, outcome=attempt.final_outcome(ended.outcome, config.retries))


def _next_endings(actors: Actors, wait_s: float, config: PoolConfig) -> Iterator[tuple[Ended, Attempt]]:
    """Wait up to `wait_s` for an event; yield the attempts that have ended or exceeded the deadline."""
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
    for reference in [r for r, (_, attempt) in actors.busy.items() if now - attempt.started > config.deadline_s]:
        yield _stop_late(actors, reference, config)


def _wait_s(actors: Actors, queue: AttemptQueue, config: PoolConfig) -> float:
    """Seconds until the next deadline or delayed attempt."""
    now = time.monotonic()
    times = [now + min(60.0, config.placed_within_s)]
    times += [attempt.started + config.deadline_s for _, attempt in actors.busy.values()]
    if actors.free and queue.next_due is not None:
        times.append(queue.next_due)
    return max(0.01, min(times) - now + 0.01)


def _collect(actors: Actors, reference: Any) -> tuple[Ended, Attempt]:
    import ray

    try:
        outcome = ray.get(reference)
    except ray.exceptions.RayError as error:
        attempt = actors.replace(reference)
        return Ended(attempt.job, _failure(error), recorded=False), attempt
    attempt = actors.finish(reference)
    return Ended(attempt.job, outcome), attempt


def _failure(error: Exception) -> Outcome:
    """The outcome of an attempt whose worker returned none."""
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


def _stop_late(actors: Actors, reference: Any, config: PoolConfig) -> tuple[Ended, Attempt]:
    attempt = actors.replace(reference)
    detail = f"it was stopped after {config.deadline_s:g} s"
    return Ended(attempt.job, Outcome("failed", "deadline", detail, seconds=config.deadline_s), recorded=False), attempt


def pool_or_local(config: PoolConfig, address: str) -> AbstractContextManager[FanOut]:
    """Workers on the Ray of an address, or in this process if there is none, as a context manager.

    Args:
        config: the workers and their limits.
        address: `host:port` of a cluster to join, or `auto`; empty runs the jobs in this process.
    """
    return RayPool(config, address) if address else nullcontext(run_here)
