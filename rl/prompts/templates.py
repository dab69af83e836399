"""What a model is asked: whole message lists by name, read from `prompts.toml`, and the one normalisation of a query."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from storage.common.errors import InputError
from storage.common.names import one_of
from tasks.markers.labels import Style, noun

Message = dict[str, Any]
"""A turn as chat templates take it: `role`, and `content`, a list of `{"type": "text", "text"}`, `{"type": "video"}` or
`{"type": "image"}`."""

_SLOT = re.compile(r"\{(query|noun|start|end|width|height)\}")


class PromptError(InputError):
    """A prompt that does not exist, or that lacks what it speaks of."""


@dataclass(frozen=True)
class Prompt:
    """One way to ask.

    Attributes:
        name: in `prompts.toml`.
        source: where it comes from.
        system: the system's turn.
        text: the user's text with its slots.
        order: of text and video in the user's turn.
        marked: whether it speaks of frames with markers.
        verbatim: whether the query is a question, whose casing and full stop matter.
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
        """The whole message list.

        Args:
            query: a sample's sentence, as annotated.
            style: of the markers on the frames.
            span_s: the interval that spatial grounding is given, seconds of the clip.
            size: (width, height) of the image that boxes are asked on, pixels.
            medium: `video` or `image`: what stands where the order says video.
            preface: said right before the text, such as when frames were taken, to models that cannot know.

        Raises:
            PromptError: it speaks of an interval or a size, and none is given.
        """
        lines = (" ".join(line.split()) for line in query.splitlines())
        values = {"query": "\n".join(lines).strip() if self.verbatim else normalize_query(query), "noun": noun(style)}
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
    """A sentence as it is asked in training and evaluation alike: lower case, single spaces, without its last full stop.

    The released code does this in training alone.
    """
    return " ".join(query.split()).removesuffix(".").rstrip().lower()


@cache
def prompts() -> Mapping[str, Prompt]:
    """Every prompt by name."""
    told = tomllib.loads(Path(__file__).with_name("prompts.toml").read_text(encoding="utf-8"))
    system = told.pop("system")
    return {
        name: Prompt(name, system=system, **{**value, "order": tuple(value["order"]), "text": value["text"].removeprefix("\n")})
        for name, value in told.items()
    }


def prompt_named(name: str) -> Prompt:
    """A prompt by its name.

    Raises:
        PromptError: there is none of this name.
    """
    return one_of(prompts(), name, "prompt", PromptError)


def said(messages: Sequence[Message]) -> str:
    """The text of a message list, for people: a line a part, media in angle brackets."""
    lines = []
    for message in messages:
        for part in message["content"]:
            lines.append(f"{message['role']}: {part['text'] if part['type'] == 'text' else '<' + part['type'] + '>'}")
    return "\n".join(lines)
