"""MME-VideoOCR's accuracies: containment, multiple choice, and questions that need a judge."""

from __future__ import annotations

import re
from collections.abc import Callable

Judge = Callable[[str, str], bool]
"""(true answer, answer) -> whether they mean the same; a model does this in the published evaluation."""

METHODS = ("containment_match", "multiple_choice", "gpt_assisted_scoring")
_EXACT = ("trajectory", "scrambled")
"""Tasks in whose name one of these stands ask for the whole answer, not for a part of it."""


def is_right(method: str, task: str, truth: str, answer: str, judge: Judge | None = None) -> bool | None:
    """Whether an answer is right; None if it takes a judge and there is none.

    Args:
        method: one of `METHODS`.
        task: the item's task name.
        truth: the true answer; in a containment match, parts that must all appear are separated by ';'.
        answer: the model's.
        judge: decides what no rule can.

    Raises:
        ValueError: the method is not known.
    """
    if method == "containment_match":
        return _contains(task, truth, answer)
    if method == "multiple_choice":
        chosen = re.search(r"[ABCD]", answer)
        return chosen is not None and chosen[0] == truth.strip()[:1].upper()
    if method == "gpt_assisted_scoring":
        return None if judge is None else judge(truth, answer)
    raise ValueError(f"there is no way to score '{method}': known are {', '.join(METHODS)}")


def _contains(task: str, truth: str, answer: str) -> bool:
    said = answer.strip().lower()
    if any(word in task.lower() for word in _EXACT):
        return said == truth.strip().lower()
    return all(part.strip().lower() in said for part in truth.split(";"))
