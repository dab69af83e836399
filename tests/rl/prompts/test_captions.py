from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl.prompts.captions import parse_captions
from tasks.markers.labels import STYLES, Style

FIGURE_12 = """Here is a description of each person in the video:

1. **Object ID 1, 3, 4**: This person is seated in the back of a vehicle, wearing a military uniform and a cap.
2. **Object ID 2**: This person is standing next to a vehicle. He appears to be looking forward.
3. **Object ID 7**: This person is standing on top of a horse-drawn cart. He jumped down from it.

The video shows these individuals in various positions within and around a horse-drawn cart.
"""


def test_the_papers_figure_12_has_an_entry_an_object_id() -> None:
    found = parse_captions(FIGURE_12)
    assert list(found) == [1, 3, 4, 2, 7]
    assert found[3] == found[1] == "This person is seated in the back of a vehicle, wearing a military uniform and a cap."
    assert found[7].endswith("He jumped down from it."), "what is said of the whole video is nobody's"


@pytest.mark.parametrize(
    ("text", "style", "captions"),
    [
        ("- Person 2: he sits", "numbers", {2: "he sits"}),
        ("**ID 5:**\n\nHe sits.\nHe stands.\n\nBoth wave.", "numbers", {5: "He sits. He stands."}),
        ("Object 1 - a man\nObject 2 - a woman", "numbers", {1: "a man", 2: "a woman"}),
        ("[3]: one\n#4: two\n[3]: three", "numbers", {3: "one three", 4: "two"}),
        ("Person B: she sits", "upper", {2: "she sits"}),
        ("Object A, 2: they sit", "mix", {10: "they sit", 2: "they sit"}),
        ("The video shows a man. At 10:30 he leaves.", "numbers", {}),
        ("10:30 he leaves", "numbers", {}),
        ("1. A man in red: he sits.", "numbers", {}),
        ("Person 2 or 3: he sits", "numbers", {}),
        ("3 - 5 people sit", "numbers", {}),
        ("Object ID 1:", "numbers", {}),
        ("", "numbers", {}),
    ],
)
def test_what_models_write_is_cut_at_object_ids(text: str, style: Style, captions: dict[int, str]) -> None:
    assert parse_captions(text, style) == captions


@given(st.text(alphabet="[](){}*#:-., \nAaBbIDidobjectperson0123456789\u2013"), st.sampled_from(STYLES))
def test_any_text_gives_texts_that_stand_in_it(text: str, style: Style) -> None:
    for object_id, said in parse_captions(text, style).items():
        assert object_id >= 1
        assert said
        assert all(word in text for word in said.split())


@pytest.mark.parametrize("piece", ["Object ID 1, ", "1. ", "1: ", "*", "\n", " - ", "Object 1:\n"])
def test_time_is_linear_in_the_text(piece: str) -> None:
    def seconds(count: int) -> float:
        started = time.process_time()
        parse_captions(piece * count)
        return time.process_time() - started

    assert seconds(100_000) < 2.0
