from __future__ import annotations

import pytest

from storage.outcomes import BudgetError, Outcome, check_budget, count_outcomes

DONE, LOST = Outcome("done"), Outcome("quarantined", "truncated")


def test_outcomes_are_counted_by_status_and_reason() -> None:
    every = [LOST, DONE, Outcome("filtered", "no_objects"), DONE, LOST, Outcome("quarantined", "missing")]
    assert list(count_outcomes(every).items()) == [
        ("done", 2),
        ("filtered: no_objects", 1),
        ("quarantined: truncated", 2),
        ("quarantined: missing", 1),
    ]


def test_the_budget_is_a_share_of_all_planned_videos() -> None:
    check_budget([DONE] * 9 + [LOST], 0.1)
    check_budget([], 0.0)
    check_budget([Outcome("filtered", "no_objects")], 0.0)
    with pytest.raises(BudgetError, match=r"2 of 10 videos were lost \(quarantined: truncated 2\).*allows 10%"):
        check_budget([DONE] * 8 + [LOST] * 2, 0.1)


def test_one_video_in_five_that_fails_unexpectedly_costs_no_other() -> None:
    failed, killer = Outcome("failed", "error"), Outcome("quarantined", "worker_died")
    for lost in (failed, killer):
        check_budget([DONE] * 4 + [lost], 0.05)
        with pytest.raises(BudgetError):
            check_budget([DONE] * 4 + [lost], 0.0)
    check_budget([DONE] * 38 + [LOST, LOST, failed], 0.05)
    for outcomes in ([DONE] * 3 + [failed, killer], [DONE] * 4 + [LOST], [failed]):
        with pytest.raises(BudgetError, match="; see the list"):
            check_budget(outcomes, 0.05, "; see the list")


def test_only_a_failure_is_worth_another_run() -> None:
    assert [Outcome(s).is_final for s in ("done", "filtered", "failed", "quarantined")] == [True, True, False, True]
