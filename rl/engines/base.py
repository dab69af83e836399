"""What an engine is: requests go in, replies come out in the same order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from rl.prompts.templates import Message
from storage.common.errors import TransientError


class EngineError(TransientError):
    """An engine that cannot answer anything: no such server, no memory for the model. The run stops and can be resumed."""


class BrokenError(EngineError):
    """An engine that broke down at work: a fresh one may answer."""


@dataclass(frozen=True)
class Shown:
    """What a model sees.

    Attributes:
        frames: JPEG bytes, all of one size.
        size: (width, height) in pixels.
        fps: rate at which they were sampled, per second.
        times_s: when each was on screen, seconds of the clip.
        medium: one image, or a video.
    """

    frames: tuple[bytes, ...]
    size: tuple[int, int]
    fps: float = 1.0
    times_s: tuple[float, ...] = ()
    medium: Literal["video", "image"] = "video"


@dataclass(frozen=True)
class Request:
    """One thing to be answered; `key` is unique in a run."""

    key: str
    messages: list[Message]
    shown: Shown


@dataclass(frozen=True)
class Decoding:
    """How answers are drawn.

    Attributes:
        max_tokens: after which an answer is cut off.
        temperature: 0 takes the likeliest token.
        top_p: share of probability that is drawn from.
        seed: with the key of a request, or with those of its batch, it seeds their draws.
    """

    max_tokens: int = 1024
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0


Finish = Literal["stop", "length", "failed"]


@dataclass(frozen=True)
class Reply:
    """What came back.

    Attributes:
        text: the answer; empty where it failed.
        finish: `stop`; `length`, cut off at the most tokens allowed; `failed`.
        prompt_tokens, tokens: of the request and of the answer.
        seconds: from the request, or its batch, to the answer.
        reason: why it failed, one sentence.
        passing: whether another try may help.
    """

    text: str
    finish: Finish = "stop"
    prompt_tokens: int = 0
    tokens: int = 0
    seconds: float = 0.0
    reason: str = ""
    passing: bool = False


def too_long(tokens: int, limit: int) -> Reply:
    """The reply to a prompt that leaves no room for an answer; it is not asked."""
    reason = f"too_long: the prompt takes {tokens} tokens, and prompt and answer together may take {limit} (--max-length)"
    return Reply("", "failed", tokens, reason=reason)


class Engine(Protocol):
    """Answers requests. `identity` is all about it that can shape an answer, as JSON values."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """Name, weights, precision, versions."""
        ...

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer a batch, in its order; a request that fails fails alone.

        Raises:
            EngineError: nothing can be answered.
        """
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


@dataclass
class Told:
    """An engine for trials: says what it was told to, by key or else the same to all."""

    text: str = ""
    by_key: Mapping[str, str] = field(default_factory=dict)
    asked: list[Request] = field(default_factory=list)

    @property
    def identity(self) -> Mapping[str, Any]:
        """Its texts."""
        return {"engine": "told", "text": self.text, "by_key": dict(self.by_key)}

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """Say it."""
        self.asked += requests
        return [Reply(self.by_key.get(request.key, self.text)) for request in requests]

    def close(self) -> None:
        """Nothing is held."""
