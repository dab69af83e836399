from __future__ import annotations

from pathlib import Path

import pytest

from infra.ray.poison import KILLED, NODE_LOST, Breaker, Task, Waiting, WorkerError
from storage.outcomes import Outcome
from tasks.benchmarks.samples import VideoJob
from tasks.build.pool import RetryConfig
from tasks.video.reader import Source

RETRIES = RetryConfig()


def task(name: str = "a") -> Task:
    return Task(VideoJob(Source(name, Path(name)), ()))


def tried(one: Task, reason: str, status: str = "failed") -> bool:
    """One more try that ended so; whether there will be another."""
    one.tries += 1
    one.note(reason)
    return one.again(Outcome(status, reason, "a detail"), RETRIES)  # type: ignore[arg-type]


@pytest.mark.parametrize("reason", sorted(KILLED))
def test_the_third_worker_a_video_kills_quarantines_it(reason: str) -> None:
    one = task()
    assert [tried(one, reason) for _ in range(3)] == [True, True, False]
    final = one.final(Outcome("failed", reason, "it died"), RETRIES)
    assert (final.status, final.reason, final.detail, final.attempts) == ("quarantined", reason, "it died, 3 times", 3)


def test_a_lost_machine_is_not_held_against_the_video() -> None:
    one = task()
    assert tried(one, NODE_LOST)
    assert [tried(one, "worker_died") for _ in range(2)] == [True, True]
    assert one.final(Outcome("done"), RETRIES) == Outcome("done", attempts=3)
    lost = task()
    assert [tried(lost, NODE_LOST) for _ in range(3)] == [True, True, False]
    assert lost.final(Outcome("failed", NODE_LOST), RETRIES).status == "failed", "the next run tries it again"


def test_other_failures_have_tries_of_their_own() -> None:
    one = task()
    assert [tried(one, reason) for reason in ("worker_died", "error", "error")] == [True, True, False]
    assert one.final(Outcome("failed", "error"), RETRIES) == Outcome("failed", "error", attempts=3)
    assert not tried(task(), "truncated", "quarantined")


def first_death() -> Task:
    one = task()
    tried(one, "worker_died")
    return one


DIED = Outcome("failed", "worker_died", "it died")


def test_the_breaker_counts_first_deaths_in_a_row() -> None:
    breaker = Breaker(RetryConfig(breaker=3), workers=1)

    for _ in range(2):
        breaker.note(first_death(), DIED)
        breaker.note(first_death(), DIED)
        breaker.note(task(), Outcome("done"))
    poisonous = first_death()
    breaker.note(poisonous, DIED)
    for _ in range(20):
        tried(poisonous, "worker_died")
        breaker.note(poisonous, DIED)
    breaker.note(first_death(), DIED)
    with pytest.raises(WorkerError, match="3 videos in a row"):
        breaker.note(first_death(), DIED)


def test_the_breaker_lets_every_worker_be_replaced_first() -> None:
    breaker = Breaker(RetryConfig(breaker=3), workers=8)
    for _ in range(15):
        breaker.note(first_death(), DIED)
    with pytest.raises(WorkerError, match="16 videos in a row"):
        breaker.note(first_death(), DIED)


def test_what_was_put_off_comes_first_once_it_is_due() -> None:
    first, second, third = task("1"), task("2"), task("3")
    waiting = Waiting([first, second])
    assert (len(waiting), waiting.due, waiting.next()) == (2, None, first)
    third.not_before = 0.0
    waiting.later(third)
    first.not_before = float("inf")
    waiting.later(first)
    assert waiting.next() is third
    assert waiting.next() is second
    assert (waiting.next(), len(waiting), waiting.due) == (None, 1, float("inf"))
