"""Any OpenAI-compatible server over HTTP, such as `vllm serve`; its address and key come from the environment or a block."""

from __future__ import annotations

import base64
import json
import os
import random
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from rl.engines.base import Decoding, EngineError, Reply, Request, Shown
from rl.engines.inputs import metadata, vllm_kwargs
from rl.models.families import Model
from rl.prompts.templates import Message

URL_VARIABLE = "STVG_SERVER_URL"
KEY_VARIABLE = "STVG_SERVER_KEY"
_MOST_BYTES = 32 * 2**20
"""Of a response: no answer is as long."""

Wire = Literal["video", "images"]
"""How frames travel: as one video of JPEGs with their times, which vLLM understands; or as images with times between them, to
any server."""


@dataclass(frozen=True)
class Server:
    """Where to ask, and how patiently.

    Attributes:
        url: up to `/v1`.
        key: sent as a bearer token; never shown.
        at_once: requests under way together.
        tries: of a request that meets a rate limit, a timeout or a server's own error.
        timeout_s: of one try, from first byte sent to last byte received.
        backoff_s: before the second try; doubles, and a server's Retry-After outranks it.
        longest_wait_s: most that a wait between tries may take.
        wire: how frames travel.
    """

    url: str
    key: str = field(default="", repr=False)
    at_once: int = 16
    tries: int = 5
    timeout_s: float = 300.0
    backoff_s: float = 1.0
    longest_wait_s: float = 60.0
    wire: Wire = "video"

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise EngineError(
                f"'{self.place}' is no server's address: set {URL_VARIABLE} to one such as http://127.0.0.1:8000/v1"
            )

    @property
    def place(self) -> str:
        """Its address without anything secret."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"


def server_from_environment(**settings: Any) -> Server:
    """The server that $STVG_SERVER_URL and $STVG_SERVER_KEY name.

    Raises:
        EngineError: no address is set, or it is none.
    """
    return Server(os.environ.get(URL_VARIABLE, ""), os.environ.get(KEY_VARIABLE, ""), **settings)


class Served:
    """A model behind a server."""

    def __init__(self, model: Model, decoding: Decoding, server: Server) -> None:
        """Connect when first asked."""
        import httpx

        self._model, self._decoding, self._server = model, decoding, server
        headers = {"Authorization": f"Bearer {server.key}"} if server.key else {}
        self._client = httpx.Client(base_url=server.url.rstrip("/") + "/", headers=headers, timeout=server.timeout_s)
        self._pool = ThreadPoolExecutor(server.at_once, thread_name_prefix="asking")

    @property
    def identity(self) -> Mapping[str, Any]:
        """The served name; a server does not say what it holds."""
        return {"engine": "openai", "model": self._model.name, "wire": self._server.wire}

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer all at once, as far as the server's settings allow.

        Raises:
            EngineError: the server cannot be reached, refuses the key or does not know the model.
        """
        return list(self._pool.map(self._answer, requests))

    def _answer(self, request: Request) -> Reply:
        import httpx

        body = json.dumps(payload(request, self._model, self._decoding, self._server.wire)).encode()
        started, failed = time.perf_counter(), Reply("", "failed")
        for attempt in range(self._server.tries):
            wait_s = None
            try:
                status, told, wait_s = self._post(body)
                if status == 200:
                    return _reply(told, time.perf_counter() - started)
                failed = self._refused(status, told)
                if not failed.passing:
                    return failed
            except httpx.ConnectError as error:
                failed = Reply("", "failed", reason=f"unreachable: {error}", passing=True)
            except (httpx.HTTPError, TimeoutError, _GarbledError) as error:
                reason = f"timeout: no answer within {self._server.timeout_s:g} s" if _is_timeout(error) else f"server: {error}"
                failed = Reply("", "failed", reason=reason, passing=True)
            if attempt + 1 < self._server.tries:
                time.sleep(self._pause_s(attempt, wait_s))
        if failed.reason.startswith("unreachable"):
            raise EngineError(f"the server at {self._server.place} cannot be reached: start it or set {URL_VARIABLE}")
        return failed

    def _pause_s(self, attempt: int, asked_s: float | None) -> float:
        usual = self._server.backoff_s * 2**attempt * random.uniform(0.75, 1.25)  # noqa: S311
        return min(usual if asked_s is None else asked_s, self._server.longest_wait_s)

    def _post(self, body: bytes) -> tuple[int, bytes, float | None]:
        """Status, content and Retry-After; read piece by piece, so that a server that trickles has its time limit too."""
        deadline, read = time.monotonic() + self._server.timeout_s, bytearray()
        headers = {"Content-Type": "application/json"}
        with self._client.stream("POST", "chat/completions", content=body, headers=headers) as response:
            for piece in response.iter_bytes():
                read += piece
                if time.monotonic() > deadline:
                    raise TimeoutError
                if len(read) > _MOST_BYTES:
                    raise _GarbledError("the response does not end")
            asked = response.headers.get("Retry-After", "")
            return response.status_code, bytes(read), float(asked) if asked.isdecimal() else None

    def _refused(self, status: int, told: bytes) -> Reply:
        said = " ".join(told[:300].decode(errors="replace").split())
        if status in {401, 403}:
            raise EngineError(f"the server at {self._server.place} refuses the key: set {KEY_VARIABLE}")
        if status == 404:
            raise EngineError(f"the server at {self._server.place} does not know '{self._model.name}' ({said})")
        kind = "rate_limit" if status == 429 else "server" if status >= 500 else "refused"
        return Reply("", "failed", reason=f"{kind}: HTTP {status}, {said}", passing=kind != "refused")

    def close(self) -> None:
        """Hang up."""
        self._pool.shutdown(cancel_futures=True)
        self._client.close()


class _GarbledError(Exception):
    """A response that is not one."""


def _is_timeout(error: Exception) -> bool:
    import httpx

    return isinstance(error, (TimeoutError, httpx.TimeoutException))


def _reply(told: bytes, seconds: float) -> Reply:
    try:
        value = json.loads(told)
        choice, usage = value["choices"][0], value.get("usage") or {}
        text = choice["message"]["content"] or ""
        finish: Literal["stop", "length"] = "length" if choice.get("finish_reason") == "length" else "stop"
        counts = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise _GarbledError(f"not a chat completion ({type(error).__name__})") from error
    return Reply(str(text), finish, *counts, seconds)


def payload(request: Request, model: Model, decoding: Decoding, wire: Wire = "video") -> dict[str, Any]:
    """The JSON body of a chat completion."""
    usual = {"model": model.name, "max_tokens": decoding.max_tokens, "temperature": decoding.temperature}
    usual |= {"top_p": decoding.top_p, "seed": _seed(decoding, request)}
    messages = [_turn(message, request, wire) for message in request.messages]
    if wire == "images":
        return {**usual, "messages": messages}
    told = {"mm_processor_kwargs": vllm_kwargs(model.family, request.shown)}
    return {**usual, "messages": messages, **told, **(_vllm_times(request.shown) if request.shown.medium == "video" else {})}


def _seed(decoding: Decoding, request: Request) -> int:
    from storage.folders.files import digest

    return int(digest([decoding.seed, request.key])[:7], 16)


def _vllm_times(shown: Shown) -> dict[str, Any]:
    """What vLLM is told of a video of JPEGs; without it, it takes 32 frames at most and one a second."""
    told = metadata(shown)
    read = {name: told[name] for name in ("fps", "frames_indices", "total_num_frames", "duration")}
    return {"media_io_kwargs": {"video": {"num_frames": -1, **read, "do_sample_frames": False}}}


def _turn(message: Message, request: Request, wire: Wire) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    for part in message["content"]:
        parts += [part] if part["type"] == "text" else _media(request, wire)
    return {"role": message["role"], "content": parts}


def _media(request: Request, wire: Wire) -> list[dict[str, Any]]:
    shown = request.shown
    codes = [base64.b64encode(frame).decode() for frame in shown.frames]
    if shown.medium == "image":
        return [_image(codes[0])]
    if wire == "video":
        return [{"type": "video_url", "video_url": {"url": f"data:video/jpeg;base64,{','.join(codes)}"}}]
    times = shown.times_s or [n / shown.fps for n in range(len(codes))]
    pairs = zip(times, codes, strict=True)
    return [part for time_s, code in pairs for part in ({"type": "text", "text": f"{time_s:.2f} s:"}, _image(code))]


def _image(code: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{code}"}}
