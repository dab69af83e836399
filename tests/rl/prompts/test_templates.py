from __future__ import annotations

from pathlib import Path

import pytest

from rl.prompts.templates import Message, PromptError, normalize_query, prompt_named, prompts

SNAPSHOTS = Path(__file__).parent / "snapshots"
SENTENCE = "  The man  in RED opens the {end} door. "


def messages_text(messages: list[Message]) -> str:
    """One line per part, media in angle brackets."""
    lines = []
    for message in messages:
        for part in message["content"]:
            lines.append(f"{message['role']}: {part['text'] if part['type'] == 'text' else '<' + part['type'] + '>'}")
    return "\n".join(lines)


@pytest.mark.parametrize("name", prompts())
def test_a_prompt_says_what_it_said(name: str) -> None:
    """What a model is asked decides its scores: a change shows in review as a change of its snapshot."""
    messages = prompt_named(name).messages(SENTENCE, span_s=(1.5, 7.0), size=(364, 196))
    text = messages_text(messages) + "\n"
    snapshot = SNAPSHOTS / f"{name}.txt"
    assert snapshot.read_text() == text, f"the prompt {name} changed; if wanted, write:\n{text}"


def test_every_snapshot_is_of_a_prompt() -> None:
    assert {path.stem for path in SNAPSHOTS.glob("*.txt")} == set(prompts())


def test_one_normalisation_and_no_slot_in_a_sentence() -> None:
    assert normalize_query(SENTENCE) == "the man in red opens the {end} door"
    assert normalize_query("Why? He left...") == "why? he left.."
    messages = prompt_named("figure-6-interval").messages(SENTENCE, span_s=(1, 2))
    assert "{end} door" in messages_text(messages), "what a sentence says is never filled in"
    assert "What does ID 1 say?" in messages_text(prompt_named("question").messages("What does  ID 1 say?")), "a question stays"


def test_letters_are_called_so() -> None:
    assert "a red letter at its center" in messages_text(prompt_named("figure-5").messages("x", style="upper"))


def test_what_is_missing_is_named() -> None:
    with pytest.raises(PromptError, match="speaks of end, start"):
        prompt_named("figure-6-interval").messages("x")
    with pytest.raises(PromptError, match="no prompt 'figure-8': choose from figure-5"):
        prompt_named("figure-8")


def test_only_prompts_of_marked_frames_speak_of_red_labels() -> None:
    for name, prompt in prompts().items():
        assert ("red {noun}" in prompt.text) == (prompt.marked and name not in {"question", "caption"})
