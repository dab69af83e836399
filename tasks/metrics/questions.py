"""MME-VideoOCR's accuracies: containment, multiple choice, and questions that need a judge."""

from __future__ import annotations

import re
from collections.abc import Callable

from tasks.benchmarks.question_rules import METHODS, QuestionRule

Judge = Callable[[str, str], bool]
"""(true answer, answer) -> whether they mean the same; a model does this in the published evaluation."""

_WHOLE_ANSWER = ("trajectory", "scrambled")
"""Questions whose kind contains one of these words take the whole answer, not a part of it."""


def is_correct(rule: QuestionRule, truth: str, answer: str, judge: Judge | None = None) -> bool | None:
    """Whether an answer is right; None if the rule needs a judge and there is none.

    Args:
        rule: how the question is scored.
        truth: the true answer; in a containment match, parts that must all appear are separated by ';'.
        answer: the model's.
        judge: decides questions of the method `gpt_assisted_scoring`.

    Raises:
        ValueError: the method is not known.
    """
    if rule.method == "containment_match":
        return _contains(rule.kind, truth, answer)
    if rule.method == "multiple_choice":
        choice = re.search(r"[ABCD]", answer)
        return choice is not None and choice[0] == truth.strip()[:1].upper()
    if rule.method == "gpt_assisted_scoring":
        return None if judge is None else judge(truth, answer)
    raise ValueError(f"there is no way to score '{rule.method}': known are {', '.join(METHODS)}")


def _contains(kind: str, truth: str, answer: str) -> bool:
    text = answer.strip().lower()
    if any(word in kind.lower() for word in _WHOLE_ANSWER):
        return text == truth.strip().lower()
    return all(part.strip().lower() in text for part in truth.split(";"))
