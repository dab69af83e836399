"""Ray actors that each hold one worker: started, given one job at a time, replaced when they die."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from infra.ray.poison import Task, WorkerError
from storage.outcomes import Outcome
from tasks.benchmarks.samples import VideoJob
from tasks.build.pool import PoolConfig
from tasks.build.workers import Worker, WorkerFactory

MOST_LOST = 3
"""Actors in a row that may be lost while they start, with their machines say; or as many as there are actors."""


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


class Actors:
    """The actors of a pool: those starting, those at work, those free, and how to replace one."""

    def __init__(self, factory: WorkerFactory, count: int, config: PoolConfig) -> None:
        import ray

        resources = {"num_cpus": config.cpus_per_worker, "num_gpus": config.gpus_per_worker}
        self._remote = ray.remote(**resources, max_restarts=0, max_task_retries=0)(_Actor)
        self._factory = factory
        self._recycle_after = config.recycle_after
        self.count = count
        self.starting: dict[Any, Any] = {}
        self.busy: dict[Any, tuple[Any, Task]] = {}
        self.free: list[Any] = []
        self._done: Counter[Any] = Counter()
        self._lost = 0
        self._up = time.monotonic()
        for _ in range(count):
            self._add()

    def _add(self) -> None:
        actor = self._remote.remote(self._factory)
        self.starting[actor.start.remote()] = actor

    def started(self, reference: Any) -> None:
        """Take an actor that has started into service; one that was lost while it started is replaced.

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
            self._lost += 1
            if self._lost > max(MOST_LOST, self.count):
                raise WorkerError(f"the workers die while they start: {error}") from error
            self._add()
            return
        self._lost = 0
        self.free.append(actor)

    def check_placed(self, within_s: float) -> None:
        """Notice a cluster that has no room for any worker.

        Raises:
            WorkerError: none has been up for `within_s`.
        """
        if self.busy or self.free:
            self._up = time.monotonic()
        elif time.monotonic() - self._up > within_s:
            raise WorkerError(f"no worker came up within {within_s:g} s: the Ray cluster lacks the CPUs or GPUs they ask for")

    def give(self, task: Task) -> None:
        """Put a free actor to work on a job."""
        actor = self.free.pop()
        task.tries, task.started = task.tries + 1, time.monotonic()
        self.busy[actor.run.remote(task.job)] = actor, task

    def finished(self, reference: Any) -> Task:
        """Take back the actor whose job on `reference` has ended; a fresh one after `recycle_after` jobs."""
        actor, task = self.busy[reference]
        self._done[actor] += 1
        if self._done[actor] == self._recycle_after:
            return self.replace(reference)
        del self.busy[reference]
        self.free.append(actor)
        return task

    def replace(self, reference: Any) -> Task:
        """Kill the actor at work on `reference` and put a fresh one in its place."""
        import ray

        actor, task = self.busy.pop(reference)
        self._done.pop(actor, None)
        ray.kill(actor)
        self._add()
        return task

    def stop(self) -> None:
        """Kill all actors."""
        import ray

        for actor in [*self.free, *self.starting.values(), *(actor for actor, _ in self.busy.values())]:
            ray.kill(actor)
