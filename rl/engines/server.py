"""Engine for any OpenAI-compatible server over HTTP, such as `vllm serve`."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from rl.engines.base import EngineError, EngineIdentity, Request, Response
from rl.engines.config import DecodingConfig, ServerConfig
from rl.engines.payload import payload
from rl.models.families import Model
from storage.common.environment import variable

URL_VARIABLE = "STVG_SERVER_URL"
KEY_VARIABLE = "STVG_SERVER_KEY"
_MAX_RESPONSE_BYTES = 32 * 2**20


@dataclass(frozen=True)
class Server:
    """Address of a server, and how requests are sent to it.

    Attributes:
        url: Base address, up to and including `/v1`.
        key: Bearer token; never printed.
        config: Concurrency, attempts and format of requests.
        backoff_s: Seconds before the second attempt, doubled for each further one; a server's Retry-After takes precedence.
        longest_wait_s: Most seconds between two attempts.
    """

    url: str
    key: str = field(default="", repr=False)
    config: ServerConfig = field(default_factory=ServerConfig)
    backoff_s: float = 1.0
    longest_wait_s: float = 60.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise EngineError(
                f"'{self.place}' is no server's address: set {URL_VARIABLE} to one such as http://127.0.0.1:8000/v1"
            )

    @property
    def place(self) -> str:
        """The address without user name and password."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"


def server_from_environment(config: ServerConfig) -> Server:
    """The server whose address and key are in $STVG_SERVER_URL and $STVG_SERVER_KEY.

    Args:
        config: Concurrency, attempts and format of requests.

    Raises:
        EngineError: The address is not set, or is not an address.
    """
    return Server(variable(URL_VARIABLE), variable(KEY_VARIABLE), config)


def server_identity(model: Model, server: Server) -> EngineIdentity:
    """Identity of a `ServerEngine`; the server is not contacted.

    Args:
        model: Model under the name that the server knows.
        server: Server to use.
    """
    return {"engine": "openai", "model": model.name, "wire": server.config.wire}


class _Attempt(NamedTuple):
    """Result of one attempt at a request.

    Attributes:
        response: Response, possibly a failed one.
        retry_after_s: Seconds that the server wants to wait before the next attempt.
        unreachable: Whether no connection could be made.
    """

    response: Response
    retry_after_s: float | None = None
    unreachable: bool = False


class ServerEngine:
    """Sends requests to a server, several concurrently, and repeats attempts that fail for the moment."""

    def __init__(self, model: Model, decoding: DecodingConfig, server: Server) -> None:
        """Prepare a client; it connects with the first request.

        Args:
            model: Model under the name that the server knows.
            decoding: Sampling settings of every response.
            server: Server to use.
        """
        import httpx

        self._model, self._decoding, self._server = model, decoding, server
        headers = {"Authorization": f"Bearer {server.key}"} if server.key else {}
        self._client = httpx.Client(base_url=server.url.rstrip("/") + "/", headers=headers, timeout=server.config.timeout_s)
        self._pool = ThreadPoolExecutor(server.config.concurrency, thread_name_prefix="requests")

    @property
    def identity(self) -> EngineIdentity:
        """Name of the model and how frames are sent; a server does not report the hash of its weights."""
        return server_identity(self._model, self._server)

    def answer(self, requests: Sequence[Request]) -> list[Response]:
        """Answer a batch, as many requests concurrently as the server's settings allow.

        Raises:
            EngineError: The server cannot be reached, refuses the key or does not know the model.
        """
        return list(self._pool.map(self._answer, requests))

    def _answer(self, request: Request) -> Response:
        body = json.dumps(payload(request, self._model, self._decoding, self._server.config.wire)).encode()
        started = time.perf_counter()
        attempt = self._attempt(body, started)
        for failures in range(1, self._server.config.attempts):
            if not attempt.response.transient:
                break
            time.sleep(self._pause_s(failures, attempt.retry_after_s))
            attempt = self._attempt(body, started)
        if attempt.unreachable:
            raise EngineError(f"the server at {self._server.place} cannot be reached: start it or set {URL_VARIABLE}")
        return attempt.response

    def _attempt(self, body: bytes, started: float) -> _Attempt:
        import httpx

        try:
            status, content, retry_after_s = self._post(body)
            if status == 200:
                return _Attempt(_parse(content, time.perf_counter() - started))
            return _Attempt(self._failure(status, content), retry_after_s)
        except httpx.ConnectError as error:
            return _Attempt(_transient_failure(f"unreachable: {error}"), unreachable=True)
        except (TimeoutError, httpx.TimeoutException):
            return _Attempt(_transient_failure(f"timeout: no answer within {self._server.config.timeout_s:g} s"))
        except (httpx.HTTPError, _InvalidResponseError) as error:
            return _Attempt(_transient_failure(f"server: {error}"))

    def _pause_s(self, failures: int, retry_after_s: float | None) -> float:
        backoff_s = self._server.backoff_s * 2 ** (failures - 1) * random.uniform(0.75, 1.25)  # noqa: S311
        return min(backoff_s if retry_after_s is None else retry_after_s, self._server.longest_wait_s)

    def _post(self, body: bytes) -> tuple[int, bytes, float | None]:
        """Status, content and Retry-After; read in pieces, so that the time limit also holds for a server that trickles."""
        deadline, content = time.monotonic() + self._server.config.timeout_s, bytearray()
        headers = {"Content-Type": "application/json"}
        with self._client.stream("POST", "chat/completions", content=body, headers=headers) as response:
            for piece in response.iter_bytes():
                content += piece
                if time.monotonic() > deadline:
                    raise TimeoutError
                if len(content) > _MAX_RESPONSE_BYTES:
                    raise _InvalidResponseError("the response does not end")
            retry_after = response.headers.get("Retry-After", "")
            return response.status_code, bytes(content), float(retry_after) if retry_after.isdecimal() else None

    def _failure(self, status: int, content: bytes) -> Response:
        """The failed response to a status other than 200."""
        detail = " ".join(content[:300].decode(errors="replace").split())
        if status in {401, 403}:
            raise EngineError(f"the server at {self._server.place} refuses the key: set {KEY_VARIABLE}")
        if status == 404:
            raise EngineError(f"the server at {self._server.place} does not know '{self._model.name}' ({detail})")
        if status == 429 or status >= 500:
            return _transient_failure(f"{'rate_limit' if status == 429 else 'server'}: HTTP {status}, {detail}")
        return Response("", "failed", reason=f"refused: HTTP {status}, {detail}")

    def close(self) -> None:
        """Close the connections."""
        self._pool.shutdown(cancel_futures=True)
        self._client.close()


class _InvalidResponseError(Exception):
    """The content of a response is not a chat completion."""


def _transient_failure(reason: str) -> Response:
    return Response("", "failed", reason=reason, transient=True)


def _parse(content: bytes, seconds: float) -> Response:
    try:
        value = json.loads(content)
        choice, usage = value["choices"][0], value.get("usage") or {}
        text = choice["message"]["content"] or ""
        finish: Literal["stop", "length"] = "length" if choice.get("finish_reason") == "length" else "stop"
        counts = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise _InvalidResponseError(f"not a chat completion ({type(error).__name__})") from error
    return Response(str(text), finish, *counts, seconds)
