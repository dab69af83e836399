"""The server on PostgreSQL: started, set up, and a build run from it."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.cli.server import prefect_server
from infra.prefect.access import HOST, ask, free_port
from storage.common.processes import stop_process_tree
from storage.manifest import load_manifest

pytestmark = pytest.mark.heavy

START_S = 120
DATABASE = "PREFECT_API_DATABASE_CONNECTION_URL"


def programs() -> Path:
    """Folder of `initdb` and `postgres`, of the newest version that is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    return found[-1].parent


def as_somebody() -> list[str]:
    """PostgreSQL refuses to run as root: what must stand before a command so that the system's own user runs it."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None or "postgres" not in {user.pw_name for user in pwd.getpwall()}:
        pytest.skip("PostgreSQL does not run as root, and here is no user 'postgres' or no setpriv")
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


@pytest.fixture
def password() -> str:
    return secrets.token_hex(16)


@pytest.fixture
def database(password: str) -> Iterator[str]:
    """The address of an empty database on loopback, its password in it."""
    folder, somebody, port = programs(), as_somebody(), free_port()
    home = Path(tempfile.mkdtemp(prefix="stvg-pg-"))
    try:
        (home / "password").write_text(password)
        if somebody:
            for path in (home, home / "password"):
                shutil.chown(path, "postgres")
        new = ["--username=stvg", f"--pwfile={home}/password", "--auth=scram-sha-256", "--no-sync"]
        subprocess.run([*somebody, folder / "initdb", "-D", home / "data", *new], check=True, capture_output=True)
        options = ["-c", f"listen_addresses={HOST}", "-c", f"port={port}", "-c", "unix_socket_directories=", "-c", "fsync=off"]
        command = [*somebody, folder / "postgres", "-D", home / "data", *options]
        with (home / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as started:
            waiting = [folder / "pg_isready", "--host", HOST, "--port", str(port)]
            deadline = time.monotonic() + START_S
            while subprocess.run(waiting, check=False, capture_output=True).returncode and started.poll() is None:
                assert time.monotonic() < deadline, (home / "log").read_text()
                time.sleep(0.1)
            assert started.poll() is None, (home / "log").read_text()
            yield f"postgresql+asyncpg://stvg:{password}@{HOST}:{port}/postgres"
            stop_process_tree(started.pid)
    finally:
        shutil.rmtree(home)


def test_a_build_runs_from_a_server_on_postgresql(
    database: str, password: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATABASE, database)
    home = tmp_path / "prefect"
    with prefect_server(free_port(), home) as env:
        setup = subprocess.run([Path(sys.executable).with_name("stvg"), "setup"], env=env, check=True, capture_output=True)
        assert b"kept automation mark-silent-runs-crashed" in setup.stdout
        given = [arg for pair in (f"root={tmp_path}", "videos=3", "error_budget=1.0") for arg in ("--param", pair)]
        command = [sys.executable, "-m", "prefect", "deployment", "run", "build-dataset/sample", "--watch", *given]
        subprocess.run(command, env=env, check=True, capture_output=True)
        [run] = ask(env, "flow_runs/filter", {})
    assert run["state_type"] == "COMPLETED"
    assert load_manifest(tmp_path / "sample").counts["done"] == 3
    assert not (home / "prefect.db").exists()
    for log in home.glob("*.log"):
        assert password not in log.read_text(), log
