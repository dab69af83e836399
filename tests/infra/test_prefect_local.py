from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import psutil
import pytest

from infra.prefect_local import HOST, ServerError, environment, free_port, running, stop

pytestmark = pytest.mark.heavy
STVG = Path(sys.executable).with_name("stvg")


def test_serve_shows_the_ui_until_interrupted_and_leaves_nothing(tmp_path: Path) -> None:
    port = free_port()
    with subprocess.Popen([STVG, "serve", "--port", str(port)], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as served:
        assert served.stdout is not None
        assert f"http://{HOST}:{port}" in served.stdout.readline()
        family = psutil.Process(served.pid).children(recursive=True)
        assert len(family) >= 2
        with urllib.request.urlopen(f"http://{HOST}:{port}/", timeout=30) as page:
            assert b"<html" in page.read().lower()
        with urllib.request.urlopen(f"http://{HOST}:{port}/api/deployments/name/build-dataset/sample", timeout=30) as answer:
            assert b'"Size filter"' in answer.read()
        listening = [c.laddr.ip for p in family for c in p.net_connections() if c.status == psutil.CONN_LISTEN]
        assert set(listening) == {HOST}, "loopback only"
        served.send_signal(signal.SIGINT)
        assert served.wait(timeout=60) == 0
    assert [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []


def test_a_port_that_is_taken_is_an_error_that_names_the_log(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        with pytest.raises(ServerError, match=r"server\.log"), running(taken.getsockname()[1], tmp_path):
            pass


def test_the_environment_points_at_this_server_and_tells_nobody(tmp_path: Path) -> None:
    env = environment(1234, tmp_path)
    assert env["PREFECT_API_URL"] == env["PREFECT_SERVER_UI_API_URL"] == "http://127.0.0.1:1234/api"
    assert env["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert env["PREFECT_API_DATABASE_CONNECTION_URL"].endswith(f"{tmp_path}/prefect.db")


def test_stop_ends_a_whole_family() -> None:
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
    with subprocess.Popen([sys.executable, "-c", script], start_new_session=True) as parent:
        children: list[psutil.Process] = []
        while not children:
            children = psutil.Process(parent.pid).children(recursive=True)
        stop(parent.pid)
    assert not any(child.is_running() for child in children)
    stop(parent.pid)
