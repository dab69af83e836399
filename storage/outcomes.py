"""Outcomes of videos: every planned video has one, so that none is dropped silently."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from storage.common.errors import StvgError

Status = Literal["done", "filtered", "failed", "quarantined"]
STATUSES: tuple[Status, ...] = get_args(Status)
KILLED = frozenset({"worker_died", "worker_out_of_memory", "deadline"})
"""Reasons of attempts that ended their worker, or had to be stopped with it: the video is held responsible."""


@dataclass(frozen=True)
class Outcome:
    """Outcome of one stage for one video.

    Attributes:
        status: `done`; `filtered`: excluded by a rule; `failed`: retried by the next run; `quarantined`: bad input, or the
            cause of worker crashes, not retried until the input changes.
        reason: reason code; empty when done without remarks.
        detail: one sentence for the user; empty when done without remarks.
        attempts: number of attempts in the run that set the outcome.
        seconds: wall time of the last attempt.
    """

    status: Status
    reason: str = ""
    detail: str = ""
    attempts: int = 1
    seconds: float = 0.0

    @property
    def sentence(self) -> str:
        """The first line of the detail."""
        return self.detail.partition("\n")[0]

    @property
    def traceback(self) -> str:
        """The traceback of an unexpected error; empty without one."""
        return self.detail.partition("\n")[2]

    @property
    def is_final(self) -> bool:
        """Whether a run with the same input would give the same outcome."""
        return self.status != "failed"

    @property
    def is_lost(self) -> bool:
        """Whether the video counts against the error budget."""
        return self.status in {"failed", "quarantined"}

    @property
    def unexpected(self) -> bool:
        """Whether the video is lost for another reason than input that cannot be used."""
        return self.status == "failed" or (self.is_lost and self.reason in KILLED)


class BudgetError(StvgError):
    """More videos were lost than the error budget allows."""

    exit_code = 3


def count_outcomes(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """Number of outcomes by `status` or `status: reason`, in the order of `STATUSES`, most frequent reason first."""
    counts = Counter((o.status, o.reason) for o in outcomes)
    ordered = sorted(counts.items(), key=lambda item: (STATUSES.index(item[0][0]), -item[1], item[0][1]))
    return {f"{status}: {reason}" if reason else status: count for (status, reason), count in ordered}


def check_budget(outcomes: Iterable[Outcome], error_budget: float, remedy: str = "") -> None:
    """Raise an error if more videos are lost than the error budget allows.

    With a budget above 0, one video that failed unexpectedly does not count where others did not fail: in a small set it would
    cost all of them.

    Args:
        outcomes: outcome of each planned video.
        error_budget: maximum fraction of lost videos, in [0, 1].
        remedy: end of the message: which videos were lost, and what can be done.

    Raises:
        BudgetError: the budget is exceeded; the message lists the counts.
    """
    every = list(outcomes)
    lost = sum(o.is_lost for o in every)
    excused = int(error_budget > 0 and lost < len(every) and any(o.unexpected for o in every))
    if lost - excused <= error_budget * len(every):
        return
    counts = ", ".join(f"{name} {count}" for name, count in count_outcomes(o for o in every if o.is_lost).items())
    raise BudgetError(f"{lost} of {len(every)} videos were lost ({counts}); the error budget allows {error_budget:.0%}{remedy}")
