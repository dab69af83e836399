"""Ray actors that each hold one worker: they are started, given one job at a time, and replaced when they die."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from infra.ray.retry import Attempt, WorkerError
from storage.outcomes import Outcome
from tasks.benchmarks.samples import VideoJob
from tasks.build.pool import PoolConfig
from tasks.build.workers import Worker, WorkerFactory

MAX_START_LOSSES = 3
"""Actors in a row that may be lost while they start, for instance with their machines; at least as many as there are actors."""


class _Actor:
    """Runs in a Ray worker; `start` is apart from the constructor, so that the cause of a failure reaches the driver."""

    def __init__(self, factory: WorkerFactory) -> None:
        self._factory = factory
        self._worker: Worker | None = None

    def start(self) -> None:
        self._worker = self._factory()

    def run(self, job: VideoJob) -> Outcome:
        assert self._worker is not None
        return self._worker.run(job)


class Actors:
    """The actors of a pool: those that start, those that run a job, and the free ones.

    Args:
        factory: builds the worker of each actor, in its process.
        count: number of actors.
        config: resources of each actor, and when it is replaced.
    """

    def __init__(self, factory: WorkerFactory, count: int, config: PoolConfig) -> None:
        import ray

        resources = {"num_cpus": config.cpus_per_worker, "num_gpus": config.gpus_per_worker}
        self._remote = ray.remote(**resources, max_restarts=0, max_task_retries=0)(_Actor)
        self._factory = factory
        self._recycle_after = config.recycle_after
        self.count = count
        self.starting: dict[Any, Any] = {}
        self.busy: dict[Any, tuple[Any, Attempt]] = {}
        self.free: list[Any] = []
        self._completed: Counter[Any] = Counter()
        self._start_losses = 0
        self._last_up = time.monotonic()
        for _ in range(count):
            self._add()

    def _add(self) -> None:
        actor = self._remote.remote(self._factory)
        self.starting[actor.start.remote()] = actor

    def started(self, reference: Any) -> None:
        """Make an actor that has started free; one that was lost while it started is replaced.

        Args:
            reference: Ray's reference of the start, a key of `starting`.

        Raises:
            WorkerError: it could not start, or too many in a row were lost.
        """
        import ray

        actor = self.starting.pop(reference)
        try:
            ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            raise WorkerError(f"the workers cannot start: {error.cause}") from error
        except ray.exceptions.RayError as error:
            self._start_losses += 1
            if self._start_losses > max(MAX_START_LOSSES, self.count):
                raise WorkerError(f"the workers die while they start: {error}") from error
            self._add()
            return
        self._start_losses = 0
        self.free.append(actor)

    def check_placed(self, within_s: float) -> None:
        """Check that the cluster has room for at least one worker.

        Args:
            within_s: seconds that may pass without any worker.

        Raises:
            WorkerError: no worker has been up for `within_s`.
        """
        if self.busy or self.free:
            self._last_up = time.monotonic()
        elif time.monotonic() - self._last_up > within_s:
            raise WorkerError(f"no worker came up within {within_s:g} s: the Ray cluster lacks the CPUs or GPUs they ask for")

    def give(self, attempt: Attempt) -> None:
        """Start an attempt on a free actor."""
        actor = self.free.pop()
        attempt.start()
        self.busy[actor.run.remote(attempt.job)] = actor, attempt

    def finish(self, reference: Any) -> Attempt:
        """Free the actor whose attempt has ended, or replace it after `recycle_after` jobs.

        Args:
            reference: Ray's reference of the attempt, a key of `busy`.
        """
        actor, attempt = self.busy[reference]
        self._completed[actor] += 1
        if self._completed[actor] == self._recycle_after:
            return self.replace(reference)
        del self.busy[reference]
        self.free.append(actor)
        return attempt

    def replace(self, reference: Any) -> Attempt:
        """Kill the actor that runs an attempt, and start a new one.

        Args:
            reference: Ray's reference of the attempt, a key of `busy`.
        """
        import ray

        actor, attempt = self.busy.pop(reference)
        self._completed.pop(actor, None)
        ray.kill(actor)
        self._add()
        return attempt

    def stop(self) -> None:
        """Kill all actors."""
        import ray

        for actor in [*self.free, *self.starting.values(), *(actor for actor, _ in self.busy.values())]:
            ray.kill(actor)
