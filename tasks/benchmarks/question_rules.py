"""Scoring rules of questions, and their form in the samples table."""

from __future__ import annotations

from typing import NamedTuple

METHODS = ("containment_match", "multiple_choice", "gpt_assisted_scoring")


class QuestionRule(NamedTuple):
    """Scoring rule of a question.

    Attributes:
        method: one of `METHODS`.
        kind: the benchmark's name for this kind of question, such as `Trajectory Recognition`.
    """

    method: str
    kind: str


def stored_record(place: int | str, method: str) -> str:
    """The `record` column of a question: its place in the annotations and how it is scored.

    Args:
        place: place in the annotation file, such as the 0-based index of the question.
        method: one of `METHODS`.
    """
    return f"{place}|{method}"


def stored_rule(record: str, group: str) -> QuestionRule:
    """The rule of a stored question; the inverse of `stored_record`.

    Args:
        record: the `record` column; one without a method takes `containment_match`.
        group: the `group` column, `<category>/<kind>`.
    """
    return QuestionRule(record.partition("|")[2] or METHODS[0], group.rpartition("/")[2])
