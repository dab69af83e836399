"""Retry, quarantine and circuit-breaker policy of a pool of workers."""

from __future__ import annotations

import heapq
import random
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import count

from storage.common.errors import TransientError
from storage.common.log import logger
from storage.outcomes import KILLED, Outcome
from tasks.benchmarks.samples import VideoJob
from tasks.build.pool import RetryConfig

NODE_LOST = "node_lost"
"""Reason of attempts whose worker was lost with its machine: the video is not held responsible."""
_DELAYS_S = (0.05, 0.2)
"""Range of the delay before the second attempt; it doubles with each further one."""
_LOG = logger(__name__)


class WorkerError(TransientError):
    """The workers cannot start or do not survive, whatever the video, so the run stops."""


@dataclass
class Attempt:
    """The current attempt at a job, and what earlier ones came to.

    Attributes:
        job: the video.
        number: number of this attempt, from 1; 0 before the first.
        deaths: workers that the job has ended.
        losses: machines that were lost during the job.
        not_before: earliest start on the monotonic clock, seconds.
        started: start on the monotonic clock, seconds.
    """

    job: VideoJob
    number: int = 0
    deaths: int = 0
    losses: int = 0
    not_before: float = 0.0
    started: float = 0.0

    def start(self) -> None:
        """Begin the next attempt."""
        self.number, self.started = self.number + 1, time.monotonic()

    def count_loss(self, reason: str) -> None:
        """Count a worker or a machine that the attempt cost.

        Args:
            reason: of its outcome.
        """
        self.deaths += reason in KILLED
        self.losses += reason == NODE_LOST

    def retry_after(self, outcome: Outcome, retries: RetryConfig) -> bool:
        """Whether the job is tried again; if so, `not_before` is set, later with each attempt.

        Args:
            outcome: of this attempt.
            retries: the limits.
        """
        if outcome.status != "failed":
            return False
        self.not_before = time.monotonic() + random.uniform(*_DELAYS_S) * 2**self.number  # noqa: S311
        if outcome.reason in KILLED:
            return self.deaths < retries.max_deaths
        if outcome.reason == NODE_LOST:
            return self.losses < retries.max_deaths
        return self.number - self.deaths - self.losses < retries.max_attempts

    def final_outcome(self, outcome: Outcome, retries: RetryConfig) -> Outcome:
        """The outcome of the job with its number of attempts; a job that ended too many workers is quarantined.

        Args:
            outcome: of the last attempt.
            retries: the limits.
        """
        if outcome.status == "failed" and outcome.reason in KILLED and self.deaths >= retries.max_deaths:
            detail = f"{outcome.sentence}, {self.deaths} times"
            return Outcome(
                status="quarantined", reason=outcome.reason, detail=detail, attempts=self.number, seconds=outcome.seconds
            )
        return replace(outcome, attempts=self.number)


class AttemptQueue:
    """Attempts that wait for a worker; due retries come first, so that the videos committed with them can be.

    Args:
        attempts: first attempts, in their order.
    """

    def __init__(self, attempts: Iterable[Attempt]) -> None:
        self._first, self._delayed = deque(attempts), list[tuple[float, int, Attempt]]()
        self._count = count()

    def __len__(self) -> int:
        return len(self._first) + len(self._delayed)

    @property
    def next_due(self) -> float | None:
        """When the next delayed attempt is due, on the monotonic clock in seconds; None without one."""
        return self._delayed[0][0] if self._delayed else None

    def delay(self, attempt: Attempt) -> None:
        """Add an attempt that is due at its `not_before`."""
        _LOG.debug("%s is tried again after attempt %d", attempt.job.source.video_id, attempt.number)
        heapq.heappush(self._delayed, (attempt.not_before, next(self._count), attempt))

    def pop(self) -> Attempt | None:
        """Remove and return the next attempt; None if none is due."""
        if self._delayed and self._delayed[0][0] <= time.monotonic():
            return heapq.heappop(self._delayed)[2]
        return self._first.popleft() if self._first else None


class CircuitBreaker:
    """Stops a run whose workers die whatever the video, before every video is quarantined.

    Only the first death that a video causes counts: a video that ends every worker causes later ones too, often together at the
    end of a run.

    Args:
        retries: the limits.
        workers: number of workers; the limit is at least twice as many, so that each has been replaced.
    """

    def __init__(self, retries: RetryConfig, workers: int) -> None:
        self._limit, self._row = max(retries.breaker, 2 * workers), 0

    def record(self, attempt: Attempt, outcome: Outcome) -> None:
        """Count the end of an attempt.

        Args:
            attempt: whose losses are counted already.
            outcome: of the attempt.

        Raises:
            WorkerError: too many videos in a row each ended their first worker.
        """
        if outcome.reason not in KILLED:
            self._row = 0
        elif attempt.deaths == 1:
            self._row += 1
        if self._row >= self._limit:
            last = f"'{attempt.job.source.video_id}', {outcome.reason}, {outcome.sentence}"
            raise WorkerError(
                f"{self._row} videos in a row each ended their worker (the last: {last}), so it is the workers and no video: "
                "look at their memory, drivers and deadline, then run the same command again; what is done is kept"
            )
