"""An OpenAI-compatible server on loopback that answers as it is told, also badly."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from rl.engines.base import EngineError, Request, Response, VisualInput
from rl.engines.config import DecodingConfig, ServerConfig
from rl.engines.payload import payload
from rl.engines.server import Server, ServerEngine, server_from_environment
from rl.models.registry import served_model
from rl.prompts.templates import prompt_named

MODEL = served_model("tiny")


class Backend(ThreadingHTTPServer):
    """Says what the next entry of `script` says: (status, body, headers), or a function that writes to the wire."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: list[Any] = []
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[Any] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        backend: Any = self.server
        backend.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        backend.headers.append((self.path, self.headers))
        said = backend.script.pop(0) if backend.script else (200, answer(), {})
        if callable(said):
            said(self)
            return
        status, body, headers = said
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def answer(text: str = "Target ID: 3", finish: str = "stop") -> dict[str, Any]:
    usage = {"prompt_tokens": 100, "completion_tokens": 7}
    return {"choices": [{"message": {"content": text}, "finish_reason": finish}], "usage": usage}


@pytest.fixture
def backend() -> Iterator[Backend]:
    made = Backend()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def request_of(visual: Callable[..., VisualInput]) -> Request:
    video = visual(count=4)
    return Request("key", prompt_named("figure-5").messages("A man."), video)


def asked(backend: Backend, request: Request, **settings: Any) -> Response:
    backoff_s = settings.pop("backoff_s", 0.0)
    config = ServerConfig.model_validate({"attempts": 3, "concurrency": 2, "timeout_s": 5.0, **settings})
    engine = ServerEngine(MODEL, DecodingConfig(max_tokens=64), Server(backend.url, "secret", config, backoff_s))
    try:
        [response] = engine.answer([request])
        return response
    finally:
        engine.close()


def test_an_answer_comes_back_with_its_costs_and_the_key_is_sent(backend: Backend, request_of: Request) -> None:
    response = asked(backend, request_of)
    assert (response.text, response.finish, response.prompt_tokens, response.tokens) == ("Target ID: 3", "stop", 100, 7)
    path, headers = backend.headers[0]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer secret"
    assert backend.bodies[0] == payload(request_of, MODEL, DecodingConfig(max_tokens=64))
    assert backend.bodies[0]["temperature"] == 0


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_may_pass_is_tried_again(backend: Backend, request_of: Request, status: int) -> None:
    backend.script = [(status, {}, {"Retry-After": "0"})] * 2
    assert asked(backend, request_of).text == "Target ID: 3"
    assert len(backend.bodies) == 3


def test_tries_end_and_the_reason_is_told(backend: Backend, request_of: Request) -> None:
    backend.script = [(429, {"error": "slow down"}, {})] * 3
    response = asked(backend, request_of)
    assert (response.finish, response.transient) == ("failed", True)
    assert response.reason == 'rate_limit: HTTP 429, {"error": "slow down"}'


def test_what_is_refused_is_not_tried_again(backend: Backend, request_of: Request) -> None:
    backend.script = [(400, {"error": "prompt too long"}, {})]
    response = asked(backend, request_of)
    assert (response.finish, response.transient, len(backend.bodies)) == ("failed", False, 1)
    assert "too long" in response.reason


@pytest.mark.parametrize(("status", "said"), [(401, "refuses the key: set STVG_SERVER_KEY"), (404, "does not know 'tiny'")])
def test_a_wrong_key_or_model_stops_the_run(backend: Backend, request_of: Request, status: int, said: str) -> None:
    backend.script = [(status, {}, {})]
    with pytest.raises(EngineError, match=said) as error:
        asked(backend, request_of)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"choices": []}', b'{"choices": [{"message": null}]}', b"[" * 100_000])
def test_a_garbled_answer_is_a_failure_that_may_pass(backend: Backend, request_of: Request, body: bytes) -> None:
    backend.script = [(200, body, {})] * 3
    response = asked(backend, request_of)
    assert (response.finish, response.transient, len(backend.bodies)) == ("failed", True, 3)
    assert response.reason.startswith("server: not a chat completion")


def test_an_answer_that_never_ends_is_cut_off_in_time(backend: Backend, request_of: Request) -> None:
    over = threading.Event()

    def trickle(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while not over.wait(0.02):
                handler.wfile.write(b" ")
        except OSError:
            pass

    backend.script = [trickle]
    try:
        response = asked(backend, request_of, timeout_s=0.3, attempts=1)
    finally:
        over.set()
    assert response.reason == "timeout: no answer within 0.3 s"
    assert response.transient


def test_a_server_that_never_says_anything_is_left_in_time(backend: Backend, request_of: Request) -> None:
    over = threading.Event()
    backend.script = [lambda _: over.wait(30)]
    try:
        response = asked(backend, request_of, timeout_s=0.3, attempts=1)
    finally:
        over.set()
    assert (response.reason, response.transient) == ("timeout: no answer within 0.3 s", True)


def test_an_answer_without_end_is_cut_off_by_its_size_too(
    backend: Backend, request_of: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rl.engines.server._MAX_RESPONSE_BYTES", 2**16)
    backend.script = [(200, b" " * 2**18, {})]
    response = asked(backend, request_of, attempts=1)
    assert (response.reason, response.transient) == ("server: the response does not end", True)


@pytest.mark.parametrize(("told", "waited"), [("7", 7), ("3600", 60), ("soon", 2), (None, 2)])
def test_a_rate_limit_says_how_long_to_wait_within_reason(
    backend: Backend, request_of: Request, monkeypatch: pytest.MonkeyPatch, told: str | None, waited: float
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("rl.engines.server.time.sleep", slept.append)
    backend.script = [(429, {}, {"Retry-After": told} if told else {})]
    assert asked(backend, request_of, backoff_s=2.0).text == "Target ID: 3"
    assert slept == pytest.approx([waited], rel=0.25), "at most a minute; its own pace where the server names none"


def test_an_answer_cut_off_at_the_most_tokens_says_so(backend: Backend, request_of: Request) -> None:
    backend.script = [(200, answer("and so on", "length"), {})]
    assert asked(backend, request_of).finish == "length"


def test_a_connection_that_breaks_is_tried_again(backend: Backend, request_of: Request) -> None:
    backend.script = [lambda handler: handler.connection.close()]
    assert asked(backend, request_of).text == "Target ID: 3"


def test_an_unreachable_server_stops_the_run(backend: Backend, request_of: Request) -> None:
    engine = ServerEngine(
        MODEL, DecodingConfig(), Server("http://user:pass@127.0.0.1:9/v1", config=ServerConfig(attempts=2), backoff_s=0.0)
    )
    with pytest.raises(EngineError, match=r"the server at http://127\.0\.0\.1:9/v1 cannot be reached"):
        engine.answer([request_of])
    engine.close()


def test_replies_keep_the_order_of_requests(backend: Backend, request_of: Request) -> None:
    engine = ServerEngine(MODEL, DecodingConfig(), Server(backend.url, config=ServerConfig(concurrency=4)))
    requests = [Request(str(n), request_of.messages, request_of.visual) for n in range(8)]
    assert len(engine.answer(requests)) == 8
    engine.close()
    assert len({body["seed"] for body in backend.bodies}) == 8, "each request draws by its own key"


def test_images_travel_with_their_times(request_of: Request) -> None:
    body = payload(request_of, MODEL, DecodingConfig(), "images")
    parts = body["messages"][1]["content"]
    assert [part["text"] for part in parts[1::2]] == ["0.00 s:", "0.50 s:", "1.00 s:", "1.50 s:"]
    assert sum(part["type"] == "image_url" for part in parts) == 4
    assert "media_io_kwargs" not in body


def test_the_environment_names_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STVG_SERVER_URL", raising=False)
    with pytest.raises(EngineError, match="is no server's address: set STVG_SERVER_URL"):
        server_from_environment(ServerConfig())
    monkeypatch.setenv("STVG_SERVER_URL", "http://127.0.0.1:8000/v1")
    monkeypatch.setenv("STVG_SERVER_KEY", "secret")
    server = server_from_environment(ServerConfig(attempts=2))
    assert (server.key, server.config.attempts) == ("secret", 2)
    assert "secret" not in repr(server)
