"""Parsing of answers: how many are read a second, in the plain form and in the forms of the field."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from bench.figures import Figure, NotRunError, at_least, shared, told
from rl.prompts.answers import parse_answer

ANSWERS = 10_000
A_SECOND = 10_000
_THOUGHT = "The man in the red coat stands up at about 4.1 seconds and walks to the door, so that object 3 is meant. " * 8


def run() -> list[Figure]:
    """Parse 10,000 answers in the form that the prompt requests, and as many of the collected ones where they are here."""
    plain = [
        f"<think>{_THOUGHT}</think>\n<answer>Target ID: {1 + n % 4}, Time range: {n % 40 / 10:.2f} to {9 + n % 7}</answer>"
        for n in range(100)
    ]
    how = f"{ANSWERS} answers of {len(plain[0])} characters, CPU time of one process"
    figures = [at_least("answers read a second, as requested", _rate(plain), A_SECOND, how)]
    try:
        cases = json.loads(shared("cases", "answers.json").read_text(encoding="utf-8"))["answers"]
    except NotRunError:
        return figures
    collected = [case["text"] for case in cases]
    mean = sum(map(len, collected)) / len(collected)
    how = f"{len(collected)} collected answers of {mean:.0f} characters on average, each read {ANSWERS // len(collected)} times"
    return [
        *figures,
        at_least("answers read a second, in the forms of the field", _rate(collected), A_SECOND, how),
        told("share of collected answers in the form that the prompt requests", _plain_share(collected), how),
    ]


def _rate(texts: Sequence[str]) -> float:
    count = ANSWERS // len(texts) * len(texts)
    started = time.process_time()
    for number in range(count):
        parse_answer(texts[number % len(texts)])
    return count / (time.process_time() - started)


def _plain_share(texts: Sequence[str]) -> float:
    return sum("Target ID:" in text and "Time range:" in text for text in texts) / len(texts)
