"""Prompt templates from `prompts.toml`, and the normalization of a query."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from storage.common.errors import InputError
from storage.common.names import one_of
from tasks.markers.labels import Style, label_noun

Message = dict[str, Any]
"""A chat message: `role`, and `content`, a list of `{"type": "text", "text": ...}`, `{"type": "video"}` or
`{"type": "image"}`."""

_SLOT = re.compile(r"\{(query|noun|start|end|width|height)\}")


class PromptError(InputError):
    """A prompt that does not exist, or a value that a prompt needs and that is missing."""


@dataclass(frozen=True)
class Prompt:
    """A prompt template.

    Attributes:
        name: Name in `prompts.toml`.
        source: Source of the wording: a figure of the paper, the released code or this project.
        system: System message.
        text: User text with slots such as `{query}`.
        order: Order of `text` and `video` in the user message.
        marked: Whether the prompt refers to markers on the frames.
        verbatim: Whether the query is a question, whose capitals and punctuation are kept.
    """

    name: str
    source: str
    system: str
    text: str
    order: tuple[str, ...]
    marked: bool
    verbatim: bool = False

    def messages(
        self,
        query: str,
        style: Style = "numbers",
        span_s: tuple[float, float] | None = None,
        size: tuple[int, int] | None = None,
        medium: str = "video",
        preface: str = "",
    ) -> list[Message]:
        """Fill in the template.

        Args:
            query: Sentence of a sample, as annotated.
            style: Style of the markers on the frames.
            span_s: (start, end) in seconds of the clip, for prompts that state the interval.
            size: (width, height) of the image in pixels, for prompts that request a box.
            medium: Placeholder in the user message, `video` or `image`.
            preface: Text before the user text, such as the times of the frames.

        Returns:
            System message and user message.

        Raises:
            PromptError: The template has a slot for an interval or a size that was not given.
        """
        lines = (" ".join(line.split()) for line in query.splitlines())
        values = {"query": "\n".join(lines).strip() if self.verbatim else normalize_query(query), "noun": label_noun(style)}
        if span_s is not None:
            values |= {"start": f"{span_s[0]:.2f}", "end": f"{span_s[1]:.2f}"}
        if size is not None:
            values |= {"width": str(size[0]), "height": str(size[1])}
        missing = {slot for slot in _SLOT.findall(self.text) if slot not in values}
        if missing:
            raise PromptError(f"the prompt '{self.name}' speaks of {', '.join(sorted(missing))}, which this sample lacks")
        text = preface + _SLOT.sub(lambda slot: values[slot[1]], self.text)
        parts = {"text": {"type": "text", "text": text}, "video": {"type": medium}}
        system = [{"role": "system", "content": [{"type": "text", "text": self.system}]}]
        return [*system, {"role": "user", "content": [parts[part] for part in self.order]}]


def normalize_query(query: str) -> str:
    """Normalize a sentence, in training and evaluation alike: lower case, single spaces, no full stop at the end.

    The released code does this in training only.
    """
    return " ".join(query.split()).removesuffix(".").rstrip().lower()


@cache
def prompts() -> Mapping[str, Prompt]:
    """Every prompt by name."""
    entries = tomllib.loads(Path(__file__).with_name("prompts.toml").read_text(encoding="utf-8"))
    system = entries.pop("system")
    return {
        name: Prompt(name, system=system, **{**value, "order": tuple(value["order"]), "text": value["text"].removeprefix("\n")})
        for name, value in entries.items()
    }


def prompt_named(name: str) -> Prompt:
    """A prompt by its name.

    Raises:
        PromptError: There is none of this name.
    """
    return one_of(prompts(), name, "prompt", PromptError)
