"""What the death of a worker says of the video that it worked on, and when it says that no worker can live."""

from __future__ import annotations

import heapq
import random
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import count

from storage.common.errors import TransientError
from storage.outcomes import Outcome
from tasks.benchmarks.samples import VideoJob
from tasks.build.pool import RetryConfig

KILLED = frozenset({"worker_died", "worker_out_of_memory", "deadline"})
"""Reasons for which a video is held to have killed its worker, or would not let go of it."""
NODE_LOST = "node_lost"
"""Reason of a video whose worker went down with its whole machine: nobody's fault but the machine's."""


class WorkerError(TransientError):
    """Workers that cannot start, or cannot live: nothing is wrong with any one video, so the run stops."""


@dataclass
class Task:
    """A job on its way: how often it was tried, what that cost, when it may run and when it started."""

    job: VideoJob
    tries: int = 0
    deaths: int = 0
    losses: int = 0
    not_before: float = 0.0
    started: float = 0.0

    def note(self, reason: str) -> None:
        """Count what a failed try cost."""
        self.deaths += reason in KILLED
        self.losses += reason == NODE_LOST

    def again(self, outcome: Outcome, retries: RetryConfig) -> bool:
        """Whether to try it once more after `outcome`; if so it is put off a little, longer with each try."""
        if outcome.status != "failed":
            return False
        self.not_before = time.monotonic() + random.uniform(0.05, 0.2) * 2**self.tries  # noqa: S311
        if outcome.reason in KILLED:
            return self.deaths < retries.max_deaths
        if outcome.reason == NODE_LOST:
            return self.losses < retries.max_deaths
        return self.tries - self.deaths - self.losses < retries.max_attempts

    def final(self, outcome: Outcome, retries: RetryConfig) -> Outcome:
        """The outcome with its attempts; a video that killed its last worker is quarantined."""
        if outcome.status == "failed" and outcome.reason in KILLED and self.deaths >= retries.max_deaths:
            detail = f"{outcome.sentence}, {self.deaths} times"
            return Outcome("quarantined", outcome.reason, detail, self.tries, outcome.seconds)
        return replace(outcome, attempts=self.tries)


class Waiting:
    """Tasks that wait for a worker: those put off first, once they are due, so that the videos beside them can be committed."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._fresh, self._later = deque(tasks), list[tuple[float, int, Task]]()
        self._count = count()

    def __len__(self) -> int:
        return len(self._fresh) + len(self._later)

    @property
    def due(self) -> float | None:
        """When the next of those put off comes due; None if there is none."""
        return self._later[0][0] if self._later else None

    def later(self, task: Task) -> None:
        """Put a task off until its `not_before`."""
        heapq.heappush(self._later, (task.not_before, next(self._count), task))

    def next(self) -> Task | None:
        """The next task, taken out; None if none is due."""
        if self._later and self._later[0][0] <= time.monotonic():
            return heapq.heappop(self._later)[2]
        return self._fresh.popleft() if self._fresh else None


class Breaker:
    """Stops a run whose workers die whatever they are given, before every video has been quarantined for it.

    Only a video's first death counts: later ones are expected of a poisonous video, and come together at the end of a run.
    """

    def __init__(self, retries: RetryConfig, workers: int) -> None:
        self._most, self._row = max(retries.breaker, 2 * workers), 0

    def note(self, task: Task, outcome: Outcome) -> None:
        """Take note of how a try ended.

        Raises:
            WorkerError: too many videos in a row killed the first worker that took them up.
        """
        if outcome.reason not in KILLED:
            self._row = 0
        elif task.deaths == 1:
            self._row += 1
        if self._row >= self._most:
            raise WorkerError(
                f"{self._row} videos in a row each ended their worker (the last: {outcome.reason}, {outcome.sentence}), so it "
                "is the workers and no video: look at their memory, drivers and deadline, then run again; what is done is kept"
            )
