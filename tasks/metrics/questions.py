"""Accuracies of MME-VideoOCR: containment, multiple choice, and questions that need a judge."""

from __future__ import annotations

import re
from collections.abc import Callable

from tasks.benchmarks.question_rules import METHODS, QuestionRule

Judge = Callable[[str, str], bool]
"""(true answer, predicted answer) -> whether they have the same meaning; decided by a model in the published evaluation."""

_LEADS = re.compile(
    r"(?:The )?(?:[Bb]est|[Cc]orrect|[Rr]ight) (?:answer|option)(?: is)?|The answer(?: is)?|(?:Answer|Option)(?=:)"
)
"""Lead-ins that are removed before the letter of a choice is sought: the A of "Answer: C" is none."""
_STRAIGHT = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'})
_WHOLE_ANSWER = ("trajectory", "scrambled")
"""Words in the kind of a question whose answer must match completely, not by containment."""


def is_correct(rule: QuestionRule, truth: str, answer: str, judge: Judge | None = None) -> bool | None:
    """Whether an answer is correct; None if the rule needs a judge and there is none.

    Args:
        rule: how the question is scored.
        truth: the true answer; in a containment match, parts that must all appear are separated by ';'.
        answer: predicted answer.
        judge: decides questions of the method `gpt_assisted_scoring`.

    Raises:
        ValueError: the method is unknown.
    """
    if rule.method == "containment_match":
        return _contains(rule.kind, truth, answer)
    if rule.method == "multiple_choice":
        return _chosen(answer, truth.strip()[:1].upper())
    if rule.method == "gpt_assisted_scoring":
        return None if judge is None else judge(truth, answer)
    raise ValueError(f"there is no way to score '{rule.method}': known are {', '.join(METHODS)}")


def _chosen(answer: str, letter: str) -> bool:
    """Whether the first letter A to D of an answer is the true one; of more than four choices, the first that stands alone."""
    choice = re.search("[ABCD]" if letter in "ABCD" else r"\b[A-Z]\b", _LEADS.sub("", answer))
    return choice is not None and choice[0] == letter


def _contains(kind: str, truth: str, answer: str) -> bool:
    text, true_text = (each.translate(_STRAIGHT).strip().lower() for each in (answer, truth))
    if any(word in kind.lower() for word in _WHOLE_ANSWER):
        return text == true_text
    return all(part.strip() in text for part in true_text.split(";"))
