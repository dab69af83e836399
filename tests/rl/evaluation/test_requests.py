"""What is kept of a response: the answer without its thought, and no object where none could be read."""

from __future__ import annotations

from typing import Any

import pytest

from rl.engines.base import Response
from rl.evaluation.predictions import StoredPrediction
from rl.evaluation.protocols import PROTOCOLS
from rl.evaluation.requests import ParsedResponse, Requester, lettered_options
from rl.evaluation.samples import EvalSample
from rl.models.families import FAMILIES, Model
from tasks.benchmarks.samples import Task

CLIPS: Any = None


def parsed(task: Task, text: str) -> tuple[EvalSample, ParsedResponse]:
    sample = EvalSample("s", "v", "c", task, "It moves.", None, (), "")
    requester = Requester(PROTOCOLS["marked"], Model("served", FAMILIES["qwen2.5-vl"], None), CLIPS)
    return sample, requester.parse(sample, Response(text, "stop"))


@pytest.mark.parametrize(
    ("text", "answer", "thought"),
    [
        ("<think>Maybe A.</think><answer>B</answer>", "B", "Maybe A."),
        ("Maybe A.</think> B", "B", ""),
        ("B. A cat", "B. A cat", ""),
        ("<think>A, or", "", "A, or"),
    ],
)
def test_a_question_is_scored_without_the_thought(text: str, answer: str, thought: str) -> None:
    _, response = parsed(Task.QUESTION, text)
    assert (response.answer, response.thought) == (answer, thought)


@pytest.mark.parametrize(
    ("text", "invalid"),
    [
        ("Target ID: none", ""),
        ("Target ID: 1", ""),
        ("Target ID: 1 or 2", "object IDs: unreadable"),
        ("I see no label.", "object IDs: missing"),
    ],
)
def test_an_unreadable_answer_does_not_say_that_there_is_no_target(text: str, invalid: str) -> None:
    stored = StoredPrediction.of_response(*parsed(Task.SEGMENTATION, f"<answer>{text}</answer>"), "key")
    assert stored.prediction.invalid == invalid
    _, spatial = parsed(Task.SPATIAL, text)
    assert spatial.answer is None


def test_choices_without_letters_get_them() -> None:
    assert lettered_options(["A. x", "(B) y", "C: z"]) == ["A. x", "(B) y", "C: z"]
    assert lettered_options(["a cat", "A dog"]) == ["A. a cat", "B. A dog"]
