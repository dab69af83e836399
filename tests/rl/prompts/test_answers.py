from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl.prompts.answers import BOTH, Field, ParsedAnswer, parse_answer
from tasks.markers.labels import Style


def answered(text: str, style: Style = "numbers") -> ParsedAnswer:
    return parse_answer(f"<think>Object 7 from 1 to 2.</think><answer>{text}</answer>", style)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("Target ID: 3, Time range: 12.54 to 17.83", (12.54, 17.83)),
        ("Target ID: [3], Time range: [12.54 to 17.83]", (12.54, 17.83)),
        ("Target ID: [3], Time range: [12.5s to 17.8s]", (12.5, 17.8)),
        ("Target ID: 3, Time range: 12.5 - 17.8", (12.5, 17.8)),
        ("Target ID: 3, Time range: 12.5-17.8 seconds.", (12.5, 17.8)),
        ("Target ID: 3, Time range: 12.5\u201317.8", (12.5, 17.8)),
        ("Target ID: 3, Time range: from 12.5 seconds to 17.8 seconds", (12.5, 17.8)),
        ("Target ID: 3\nTime range: between 12 and 17 sec.", (12, 17)),
        ("**Target ID:** 3, **Time range:** `1:02.5` to 1:10", (62.5, 70)),
        ("time interval = [12.5, 17.8]; object id = 3", (12.5, 17.8)),
        ("Target ID: 3 (the man in red), Time range: 17.8 to 12.5", (17.8, 12.5)),
        ("Target ID: 3, Time range: 1:02:03 to 1:02:05", (3723, 3725)),
    ],
)
def test_what_models_write_is_read(text: str, span: tuple[float, float]) -> None:
    answer = answered(text)
    assert (answer.object_ids, answer.ids_status) == ((3,), "read")
    assert (answer.span_s, answer.span_status) == (span, "read")


@pytest.mark.parametrize("times", ["1.5 to 22", "1.5s to 22 s", "1.5 - 22 seconds", "[1.5 to 22]"])
@pytest.mark.parametrize("ids", ["3", "[3]", "0", "[07]"])
def test_the_requested_form_is_read_as_every_other_form(ids: str, times: str) -> None:
    text = f"Target ID: {ids}, Time range: {times}."
    plain, marked, lettered = answered(text), answered(text.replace("Target", "**Target**")), answered(text, "upper")
    assert (plain.object_ids, plain.ids_status, plain.span_s) == (marked.object_ids, marked.ids_status, marked.span_s)
    assert plain.span_s == lettered.span_s == (1.5, 22)
    assert lettered.object_ids == ()


@pytest.mark.parametrize(
    ("text", "style", "ids"),
    [
        ("Target ID: 1, 4 and 12", "numbers", (1, 4, 12)),
        ("Target IDs: [ID 4, ID 1, ID 4]", "numbers", (4, 1)),
        ("Target ID: #2 & person 5", "numbers", (2, 5)),
        ("Target ID: C", "upper", (3,)),
        ("Target ID: [aa, B]", "upper", (27, 2)),
        ("Target ID: 9, A", "mix", (9, 10)),
    ],
)
def test_several_ids_and_letters(text: str, style: Style, ids: tuple[int, ...]) -> None:
    assert (answered(text, style).object_ids, answered(text, style).ids_status) == (ids, "read")


@pytest.mark.parametrize(
    "text", ["Target ID: none", "Target ID: [No target]", "Target ID: []", "Target ID: There is no object."]
)
def test_no_target_is_an_answer(text: str) -> None:
    assert (answered(text).object_ids, answered(text).ids_status) == ((), "none")


@pytest.mark.parametrize(
    "ids", ["3 or 5", "3 5", "3-5", "the man in red", "3.5", "0", "-3", "C", "3, maybe 5", "9" * 50, "", "3, object ID: 4"]
)
def test_an_id_that_cannot_be_known_is_not_guessed(ids: str) -> None:
    answer = answered(f"Target ID: {ids}, Time range: 1 to 2")
    assert (answer.object_ids, answer.ids_status) == ((), "unreadable")
    assert answer.span_s == (1, 2), "a broken field costs nothing but itself"


@pytest.mark.parametrize(
    "times",
    ["12.5", "frames 10 to 20", "10 to 20 frames", "10% to 20%", "1 to 2, 5 to 6", "1 to 2 minutes", "-1 to 5", "nan to inf",
     "1 to " + "9" * 400, "soon to later", ""],
)  # fmt: skip
def test_a_time_that_cannot_be_known_is_not_guessed(times: str) -> None:
    answer = answered(f"Target ID: 3, Time range: {times}")
    assert (answer.span_s, answer.span_status) == (None, "unreadable")
    assert answer.object_ids == (3,)


def test_where_an_answer_is_looked_for() -> None:
    assert parse_answer("Target ID: 3").object_ids == (3,), "without any tag"
    assert parse_answer("<think>Target ID: 3</think>").ids_status == "missing", "a thought is no answer"
    assert parse_answer("<think>Target ID: 3, and so on and on").ids_status == "missing", "an answer that never came"
    assert parse_answer("I think so.</think> Target ID: 4").object_ids == (4,), "the template opened the thought"
    assert parse_answer("<answer>Target ID: 1</answer><answer>Target ID: 2</answer>").object_ids == (2,), "the last counts"
    assert parse_answer("<answer>Target ID: 2, Time range: 1 to 2").span_status == "unreadable", "maybe 1 to 25"
    assert parse_answer("<answer>Target ID: 2, Time range: 1 to 2.").span_s == (1, 2), "cut off after the answer"
    assert parse_answer("").ids_status == parse_answer("").span_status == "missing"


@pytest.mark.parametrize(
    ("text", "formatted"),
    [
        ("<think>a</think><answer>b</answer>", True),
        ("  <think>a</think>\n <answer>b</answer>\n", True),
        ("<think>a</think> so <answer>b</answer>", False),
        ("<think>a</think><answer>b</answer> done", False),
        ("<answer>b</answer>", False),
        ("<think>a<think>b</think></think><answer>b</answer>", False),
    ],
)
def test_the_format_of_equation_6(text: str, formatted: bool) -> None:
    assert parse_answer(text).formatted is formatted


PIECES = [
    *("<think>", "</think>", "<answer>", "</answer>", "Target ID:", "Time range:", "time", "id", " ", "\n", "3", "12.5", "to"),
    *("and", ",", "-", "[", "]", ":", "none", "A", "frames", "%", "\u0130", "\u212a", "\x00", "#", "..", "9" * 30),
]
STYLES = ["numbers", "upper", "lower", "mix"]


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map("".join)), st.sampled_from(STYLES))
def test_hostile_text_raises_nothing_and_reads_nothing_impossible(text: str, style: Style) -> None:
    answer = parse_answer(text, style)
    assert all(object_id >= 1 for object_id in answer.object_ids)
    assert bool(answer.object_ids) == (answer.ids_status == "read")
    assert (answer.span_s is not None) == (answer.span_status == "read")


@pytest.mark.parametrize(
    "piece",
    ["<think>", "<answer>", "</answer><answer>", "target id: ", "time ", "1 to ", "1, ", "1, 1 and ", "[", " ", "the ", "#",
     "9", ".", "1.", "id:1.", "time:1-", "object ", "<", "a", "\u2013", "time range: 1 to 2, "],
)  # fmt: skip
def test_time_is_linear_in_the_text(piece: str) -> None:
    def seconds(length: int) -> float:
        text = "<answer>Target ID: 1, " + (piece * (length // len(piece) + 1))[:length]
        started = time.process_time()
        parse_answer(text)
        return time.process_time() - started

    short, long = (min(seconds(length) for _ in range(3)) for length in (50_000, 400_000))
    assert long < 40 * max(short, 0.002), "eight times the text: eight times the time, not sixty-four"
    assert long < 3


def test_answers_from_the_field_are_read_as_decided_before(shared: Path) -> None:
    """No value is wrong; at most one in a hundred is read that should not be; 95 % are as decided."""
    answers = json.loads((shared / "cases" / "answers.json").read_text())["answers"]
    agree = unfounded = 0
    for case in answers:
        fields: list[Field] = [field for field in BOTH if isinstance(case[field], list)]
        answer = parse_answer(case["text"], case["style"], fields)
        read = {"ids": (answer.ids_status, list(answer.object_ids)), "span": (answer.span_status, list(answer.span_s or ()))}
        for field, (status, value) in read.items():
            if isinstance(case[field], list) and status == "read":
                assert value == case[field], case["text"]
            unfounded += status == "read" and not isinstance(case[field], list)
        agree += all((value if status == "read" else status) == case[field] for field, (status, value) in read.items())
    assert agree >= 0.95 * len(answers)
    assert unfounded <= 0.01 * len(answers)
