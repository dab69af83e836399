from __future__ import annotations

from pathlib import Path

import pytest

from infra.ray.retry import NODE_LOST, Attempt, AttemptQueue, CircuitBreaker, WorkerError
from storage.outcomes import KILLED, Outcome
from tasks.benchmarks.samples import VideoJob
from tasks.build.pool import RetryConfig
from tasks.video.reader import Source

RETRIES = RetryConfig()


def attempt_at(name: str = "a") -> Attempt:
    return Attempt(VideoJob(Source(name, Path(name)), ()))


def retried(one: Attempt, reason: str, status: str = "failed") -> bool:
    """One more try that ended so; whether there will be another."""
    one.start()
    one.count_loss(reason)
    return one.retry_after(Outcome(status, reason, "a detail"), RETRIES)  # type: ignore[arg-type]


@pytest.mark.parametrize("reason", sorted(KILLED))
def test_the_third_worker_a_video_kills_quarantines_it(reason: str) -> None:
    one = attempt_at()
    assert [retried(one, reason) for _ in range(3)] == [True, True, False]
    final = one.final_outcome(Outcome("failed", reason, "it died"), RETRIES)
    assert (final.status, final.reason, final.detail, final.attempts) == ("quarantined", reason, "it died, 3 times", 3)


def test_a_lost_machine_is_not_held_against_the_video() -> None:
    one = attempt_at()
    assert retried(one, NODE_LOST)
    assert [retried(one, "worker_died") for _ in range(2)] == [True, True]
    assert one.final_outcome(Outcome("done"), RETRIES) == Outcome("done", attempts=3)
    lost = attempt_at()
    assert [retried(lost, NODE_LOST) for _ in range(3)] == [True, True, False]
    assert lost.final_outcome(Outcome("failed", NODE_LOST), RETRIES).status == "failed", "the next run tries it again"


def test_other_failures_have_tries_of_their_own() -> None:
    one = attempt_at()
    assert [retried(one, reason) for reason in ("worker_died", "error", "error")] == [True, True, False]
    assert one.final_outcome(Outcome("failed", "error"), RETRIES) == Outcome("failed", "error", attempts=3)
    assert not retried(attempt_at(), "truncated", "quarantined")


def first_death() -> Attempt:
    one = attempt_at()
    retried(one, "worker_died")
    return one


DIED = Outcome("failed", "worker_died", "it died")


def test_the_breaker_counts_first_deaths_in_a_row() -> None:
    breaker = CircuitBreaker(RetryConfig(breaker=3), workers=1)

    for _ in range(2):
        breaker.record(first_death(), DIED)
        breaker.record(first_death(), DIED)
        breaker.record(attempt_at(), Outcome("done"))
    poisonous = first_death()
    breaker.record(poisonous, DIED)
    for _ in range(20):
        retried(poisonous, "worker_died")
        breaker.record(poisonous, DIED)
    breaker.record(first_death(), DIED)
    with pytest.raises(WorkerError, match="3 videos in a row"):
        breaker.record(first_death(), DIED)


def test_the_breaker_lets_every_worker_be_replaced_first() -> None:
    breaker = CircuitBreaker(RetryConfig(breaker=3), workers=8)
    for _ in range(15):
        breaker.record(first_death(), DIED)
    with pytest.raises(WorkerError, match="16 videos in a row"):
        breaker.record(first_death(), DIED)


def test_what_was_put_off_comes_first_once_it_is_due() -> None:
    first, second, third = attempt_at("1"), attempt_at("2"), attempt_at("3")
    queue = AttemptQueue([first, second])
    assert (len(queue), queue.next_due, queue.pop()) == (2, None, first)
    third.not_before = 0.0
    queue.delay(third)
    first.not_before = float("inf")
    queue.delay(first)
    assert queue.pop() is third
    assert queue.pop() is second
    assert (queue.pop(), len(queue), queue.next_due) == (None, 1, float("inf"))
