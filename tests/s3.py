"""A real S3 API over HTTP on loopback (moto's server), and a proxy before it that goes wrong as it is told."""

from __future__ import annotations

import http.client
import logging
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

Fault = Callable[[str, str], str | None]
"""(method, path) -> what goes wrong with the request:

`500`, `503`, `403`: the answer; `cut`: the connection ends amid the request; `lost`: it is done, and the answer is lost;
`half`: the connection ends amid the answer; `slow`: it takes 50 ms longer.
"""


class Proxy(ThreadingHTTPServer):
    """Hands requests on to the real server, unless `fault` says otherwise; notes them all."""

    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(upstream).netloc
        self.fault: Fault = lambda _method, _path: None
        self.seen: list[tuple[str, str]] = []
        self.now, self.most_at_once = 0, 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def _any(self) -> None:
        with self.server.lock:
            self.server.seen.append((self.command, self.path))
            self.server.now += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.now)
        try:
            self._answer(self.server.fault(self.command, self.path))
        finally:
            with self.server.lock:
                self.server.now -= 1

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _any  # noqa: N815

    def _answer(self, fault: str | None) -> None:
        length = int(self.headers.get("Content-Length", 0))
        if fault == "cut":
            self.rfile.read(length // 2)
            self._hang_up()
            return
        body = self.rfile.read(length)
        if fault in {"500", "503", "403"}:
            code = {"500": "InternalError", "503": "SlowDown", "403": "AccessDenied"}[fault]
            self._send(int(fault), {}, f"<Error><Code>{code}</Code></Error>".encode())
            return
        if fault == "slow":
            time.sleep(0.05)
        upstream = http.client.HTTPConnection(self.server.upstream, timeout=30)
        upstream.request(self.command, self.path, body, dict(self.headers))
        answer = upstream.getresponse()
        data = answer.read()
        upstream.close()
        if fault == "lost":
            self._hang_up()
            return
        self._send(answer.status, dict(answer.getheaders()), data, len(data) // 2 if fault == "half" else None)

    def _send(self, status: int, headers: dict[str, str], data: bytes, sent: int | None = None) -> None:
        self.send_response_only(status)
        dropped = {"transfer-encoding", "connection"} | ({"content-length"} if self.command != "HEAD" else set())
        for name, value in headers.items():
            if name.lower() not in dropped:
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[:sent])
        if sent is not None:
            self.wfile.flush()
            self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Its URL."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Proxy]:
    """The proxy; the environment leads to it, and to a cache of the test's own."""
    proxy = Proxy(s3_server)
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    environment = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret-of-the-test", "AWS_REGION": "us-east-1"}
    for name, value in {**environment, "AWS_ENDPOINT_URL": proxy.url, "STVG_CACHE": str(tmp_path / "cache")}.items():
        monkeypatch.setenv(name, value)
    yield proxy
    proxy.shutdown()
    proxy.server_close()
    thread.join()


@pytest.fixture
def bucket(s3: Proxy) -> str:
    """`s3://` URL of a new bucket."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    connection = http.client.HTTPConnection(s3.upstream, timeout=30)
    connection.request("PUT", f"/{name}", headers={"Host": s3.upstream})
    assert connection.getresponse().status == 200
    connection.close()
    return f"s3://{name}"
