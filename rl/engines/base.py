"""Interface of engines: a batch of requests goes in, one response a request comes out, in the same order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import JsonValue

from rl.prompts.templates import Message
from storage.common.errors import TransientError

EngineIdentity = Mapping[str, JsonValue]
"""Everything about an engine that can shape a response: name, weights, precision, versions."""


class EngineError(TransientError):
    """The engine can answer nothing: the server is unreachable or the model does not fit. The run stops and can be resumed."""


class EngineCrashError(EngineError):
    """The engine crashed while it answered; a restarted engine may answer the same batch."""


@dataclass(frozen=True)
class VisualInput:
    """The video or image of a request.

    Attributes:
        frames: JPEG bytes of each frame, all of one size.
        size: (width, height) of a frame, pixels.
        fps: Sampling rate, frames per second.
        times_s: Time of each frame, seconds of the clip; empty for frames at the regular times n / fps.
        medium: Whether the model sees a video or a single image.
    """

    frames: tuple[bytes, ...]
    size: tuple[int, int]
    fps: float = 1.0
    times_s: tuple[float, ...] = ()
    medium: Literal["video", "image"] = "video"

    @property
    def frame_times_s(self) -> Sequence[float]:
        """Time of each frame, seconds of the clip, also where only the rate is given."""
        return self.times_s or [n / self.fps for n in range(len(self.frames))]


@dataclass(frozen=True)
class Request:
    """One prompt for a model.

    Attributes:
        key: Identifies the request in a run; it seeds sampling, together with the seed of the decoding settings.
        messages: Chat messages with a placeholder for the video or image.
        visual: The video or image itself.
    """

    key: str
    messages: list[Message]
    visual: VisualInput


Finish = Literal["stop", "length", "failed"]
"""End of a response: `stop`, complete; `length`, cut off at the most tokens allowed; `failed`, no response."""


@dataclass(frozen=True)
class Response:
    """The text that a model generated for a request, or the reason why there is none.

    Attributes:
        text: Generated text; empty if the request failed.
        finish: How the response ended.
        prompt_tokens: Tokens of the prompt, including those of the frames.
        tokens: Generated tokens.
        seconds: Seconds from the start of the request, or of its batch, to the response.
        reason: Reason for the failure, one sentence; empty if the request succeeded.
        transient: Whether another attempt may succeed.
    """

    text: str
    finish: Finish = "stop"
    prompt_tokens: int = 0
    tokens: int = 0
    seconds: float = 0.0
    reason: str = ""
    transient: bool = False


def prompt_too_long(tokens: int, limit: int) -> Response:
    """The failed response to a prompt that leaves no room for an answer.

    Args:
        tokens: Tokens of the prompt.
        limit: Most tokens of prompt and answer together.
    """
    reason = (
        f"too_long: the prompt takes {tokens} tokens, and prompt and answer together may take {limit} (--engine.max-length)"
    )
    return Response("", "failed", tokens, reason=reason)


class Engine(Protocol):
    """Runs a model."""

    @property
    def identity(self) -> EngineIdentity:
        """Identity of the engine, by which its predictions are stored."""
        ...

    def answer(self, requests: Sequence[Request]) -> list[Response]:
        """Answer a batch, in its order; a request that fails does not affect the others.

        Raises:
            EngineError: No request can be answered.
        """
        ...

    def close(self) -> None:
        """Release the model, its memory and its connections."""
        ...
