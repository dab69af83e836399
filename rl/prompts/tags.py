"""Thought and answer of a response, by their tags."""

from __future__ import annotations

import re
from typing import NamedTuple


class ResponseParts(NamedTuple):
    """Parts of a response.

    Attributes:
        thought: Text between the <think> tags; empty without one.
        body: The last answer that is not empty, or else the text after the thought.
        formatted: Whether the text is exactly a thought and an answer in their tags (r_f of equation 6).
        cut: Whether an opened answer never ends.
    """

    thought: str
    body: str
    formatted: bool
    cut: bool


_TAG = re.compile(r"< ?(/?) ?(think(?:ing)?|answer) ?>", re.IGNORECASE | re.ASCII)
_STRICT = re.compile(r"<(/?)(think|answer)>", re.IGNORECASE | re.ASCII)


def split_response(text: str) -> ResponseParts:
    """Split a response by its tags, which may be missing or incomplete."""
    tags = [(tag[1] + tag[2].lower().removesuffix("ing"), tag.start(), tag.end()) for tag in _TAG.finditer(text)]
    names = [name for name, _, _ in tags]
    thought, rest = "", 0
    if "think" in names:
        opened = len(names) - 1 - names[::-1].index("think")
        closing = next((n for n in range(opened, len(names)) if names[n] == "/think"), None)
        answers = [n for n in range(len(names)) if names[n] == "answer" and n > names.index("think")]
        if closing is not None:
            thought, rest = text[tags[opened][2] : tags[closing][1]], tags[closing][2]
        elif answers:
            thought, rest = text[tags[names.index("think")][2] : tags[answers[-1]][1]], tags[answers[-1]][1]
        else:
            thought, rest = text[tags[opened][2] :], len(text)
    elif "/think" in names:
        rest = tags[names.index("/think")][2]
    body, cut = _answer_in(text, [tag for tag in tags if tag[1] >= rest], rest)
    return ResponseParts(thought.strip(), body.strip(), _formatted(text), cut)


def _answer_in(text: str, tags: list[tuple[str, int, int]], rest: int) -> tuple[str, bool]:
    """The last answer that is not empty, up to the next tag; without one, the whole rest."""
    opened = [n for n, tag in enumerate(tags) if tag[0] == "answer"]
    for n in reversed(opened):
        end = tags[n + 1][1] if n + 1 < len(tags) else len(text)
        if text[tags[n][2] : end].strip():
            return text[tags[n][2] : end], n + 1 == len(tags)
    return ("", False) if opened else (text[rest:], False)


def _formatted(text: str) -> bool:
    whole = text.strip()
    if whole[:7].lower() != "<think>" or whole[-9:].lower() != "</answer>":
        return False
    tags = list(_STRICT.finditer(whole))
    names = [tag[1] + tag[2].lower() for tag in tags]
    return names == ["think", "/think", "answer", "/answer"] and whole[tags[1].end() : tags[2].start()].strip() == ""
