from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from infra.cli.server import prefect_server
from infra.prefect.access import HOST, ask, free_port, prefect_environment
from infra.prefect.local import ServerError, server
from storage.common.processes import stop_process_tree

pytestmark = pytest.mark.heavy
STVG = Path(sys.executable).with_name("stvg")


def test_serve_shows_the_ui_until_interrupted_and_leaves_nothing(tmp_path: Path) -> None:
    port = free_port()
    with subprocess.Popen([STVG, "serve", "--port", str(port)], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as served:
        assert served.stdout is not None
        said = [served.stdout.readline() for _ in range(5)]
        assert f"http://{HOST}:{port}" in said[0]
        assert f"export PREFECT_API_URL=http://{HOST}:{port}/api" in said[2]
        assert 'export PREFECT_API_AUTH_STRING="$(cat .stvg/auth)"' in said[3]
        family = psutil.Process(served.pid).children(recursive=True)
        assert len(family) >= 2
        with urllib.request.urlopen(f"http://{HOST}:{port}/", timeout=30) as page:
            assert b"<html" in page.read().lower()
        env = prefect_environment(port, tmp_path / ".stvg")
        assert '"Size filter"' in json.dumps(ask(env, "deployments/name/build-dataset/sample"))
        assert {a["name"] for a in ask(env, "automations/filter", {})} >= {"mark-silent-runs-crashed"}
        assert_strangers_are_kept_out(env)
        password = env["PREFECT_API_AUTH_STRING"].split(":")[1]
        assert not any(password in part for process in family for part in process.cmdline())
        assert not any(password in log.read_text(errors="ignore") for log in (tmp_path / ".stvg").glob("*.log"))
        listening = [c.laddr.ip for p in family for c in p.net_connections() if c.status == psutil.CONN_LISTEN]
        assert set(listening) == {HOST}, "loopback only"
        served.send_signal(signal.SIGINT)
        assert served.wait(timeout=60) == 0
    assert [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []


def assert_strangers_are_kept_out(env: dict[str, str]) -> None:
    for wrong in ({}, {"PREFECT_API_AUTH_STRING": "stvg:wrong"}):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            ask({"PREFECT_API_URL": env["PREFECT_API_URL"], **wrong}, "flow_runs/filter", {})


def test_a_server_without_a_password_is_for_this_machine_alone(tmp_path: Path) -> None:
    refused = subprocess.run(
        [STVG, "serve", "--no-auth", "--host", "0.0.0.0"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert refused.stderr == "error: '0.0.0.0' can be reached from other machines: leave out --no-auth, or --host\n"
    assert not (tmp_path / ".stvg").exists()
    env = prefect_environment(free_port(), tmp_path, auth=False)
    with server(env, tmp_path):
        assert ask(env, "flow_runs/filter", {}) == []


def test_a_port_that_is_taken_is_an_error_that_names_the_log(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        with pytest.raises(ServerError, match=r"server\.log"), prefect_server(taken.getsockname()[1], tmp_path):
            pass


def test_stop_ends_a_whole_family() -> None:
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
    with subprocess.Popen([sys.executable, "-c", script], start_new_session=True) as parent:
        children: list[psutil.Process] = []
        while not children:
            children = psutil.Process(parent.pid).children(recursive=True)
        stop_process_tree(parent.pid)
    assert not any(child.is_running() for child in children)
    stop_process_tree(parent.pid)
