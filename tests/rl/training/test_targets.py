from __future__ import annotations

import pytest

from rl.prompts.answers import parse_answer
from rl.rewards import Truth, compute_score
from rl.training.targets import target_response


@pytest.mark.parametrize(
    ("truth", "said"),
    [
        (Truth((1.5, 12.0), 3), "Target ID: 3, Time range: 1.50 to 12.00"),
        (Truth((0.0, 2.349), 2, "upper"), "Target ID: B, Time range: 0.00 to 2.35"),
        (Truth((0.5, 2.0)), "Time range: 0.50 to 2.00"),
    ],
)
def test_a_target_is_the_answer_that_prompts_ask_for(truth: Truth, said: str) -> None:
    assert target_response(truth) == f"<think></think><answer>{said}</answer>"
    read = parse_answer(target_response(truth), truth.style)
    assert read.formatted
    assert read.object_ids == (() if truth.object_id is None else (truth.object_id,))
    assert read.span_s == pytest.approx(truth.span_s, abs=0.005)


def test_a_target_is_worth_all_that_an_answer_can_be() -> None:
    truth = Truth((1.234, 5.678), 3, visible=((0.0, 9.0),))
    score = compute_score("", target_response(truth), truth.to_json(), {})["score"]
    assert 2.99 < score <= 3.0
