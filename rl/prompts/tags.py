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
_EXACT = frozenset({"<think>", "</think>", "<answer>", "</answer>"})
_FORM = ["think", "/think", "answer", "/answer"]
_Tag = tuple[str, int, int, bool]
"""Name, start and end of a tag, and whether it is written without spaces and as `think` or `answer`."""


def split_response(text: str) -> ResponseParts:
    """Split a response by its tags, which may be missing or incomplete."""
    tags = [_tag(match) for match in _TAG.finditer(text)]
    if not tags:
        return ResponseParts("", text.strip(), False, False)
    names = [tag[0] for tag in tags]
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
    return ResponseParts(thought.strip(), body.strip(), _formatted(text, tags), cut)


def _tag(match: re.Match[str]) -> _Tag:
    written = match[0].lower()
    if written in _EXACT:
        return written[1:-1], match.start(), match.end(), True
    return match[1] + match[2].lower().removesuffix("ing"), match.start(), match.end(), False


def _answer_in(text: str, tags: list[_Tag], rest: int) -> tuple[str, bool]:
    """The last answer that is not empty, up to the next tag; without one, the whole rest."""
    opened = [n for n, tag in enumerate(tags) if tag[0] == "answer"]
    for n in reversed(opened):
        end = tags[n + 1][1] if n + 1 < len(tags) else len(text)
        if text[tags[n][2] : end].strip():
            return text[tags[n][2] : end], n + 1 == len(tags)
    return ("", False) if opened else (text[rest:], False)


def _formatted(text: str, tags: list[_Tag]) -> bool:
    exact = [tag for tag in tags if tag[3]]
    if [tag[0] for tag in exact] != _FORM:
        return False
    alone = text[: exact[0][1]].strip() == "" and text[exact[3][2] :].strip() == ""
    return alone and text[exact[1][2] : exact[2][1]].strip() == ""
