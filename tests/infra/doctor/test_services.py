"""A Prefect server that lets in whom it should, and clusters that do not answer."""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from typing import Any

import pytest

from infra.doctor import services
from infra.doctor.services import prefect, ray

RIGHT = "Basic " + b64encode(b"stvg:right").decode()


class _Server(BaseHTTPRequestHandler):
    told = version("prefect")

    def do_GET(self) -> None:
        let_in = self.headers["Authorization"] == RIGHT
        self.send_response(200 if let_in and self.path == "/api/admin/version" else 401)
        self.end_headers()
        self.wfile.write(json.dumps(self.told).encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}/api"
    monkeypatch.setenv("PREFECT_API_URL", address)
    yield address
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_server_of_this_version_that_lets_us_in(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "stvg:right")
    [found] = prefect()
    assert (found.state, found.found) == ("there", f"{version('prefect')} at {url}, with a password")
    monkeypatch.setattr(_Server, "told", "3.0.0")
    [older] = prefect()
    assert (older.state, older.remedy) == ("absent", f"install {version('prefect')} there")


def test_a_server_that_refuses_the_password_does_not_hear_of_it_here(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "stvg:wrong")
    [found] = prefect()
    assert (found.state, found.found) == ("absent", f"{url} answers 401")
    assert "PREFECT_API_AUTH_STRING" in found.remedy
    assert "wrong" not in str(found)


def test_no_server_is_named_or_none_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert [f.remedy for f in prefect()] == ["for deployments and the UI: make serve"]
    monkeypatch.setenv("PREFECT_API_URL", "http://me:secret@127.0.0.1:9/api?token=secret")
    [found] = prefect()
    assert found.found == "nothing answers at http://127.0.0.1:9/api"


@pytest.mark.parametrize("address", ["127.0.0.1:9", "http://me:secret@127.0.0.1:9", "http://127.0.0.1:port"])
def test_a_cluster_that_does_not_answer(address: str) -> None:
    [found] = ray(address)
    assert (found.state, found.remedy) == ("absent", "start it, or correct --ray")
    assert "secret" not in found.found


def test_a_ray_can_start_here_if_its_raylet_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [f.state for f in ray("")] == ["there"]
    assert [f.state for f in ray("auto")] == ["there"]
    monkeypatch.setattr(services, "find_spec", lambda _name: None)
    assert [(f.state, f.remedy) for f in ray("")] == [("needed", "make install")]
