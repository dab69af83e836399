"""A Prefect server with all deployments, and what a person does with it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import psutil
import pytest

from infra.cli.server import serve_deployments
from infra.prefect.access import ask, free_port, prefect_environment
from infra.prefect.local import server as running_server
from storage.common.site import SITE

FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
RUN_S, LOCKED_S = 500, 60
"""Most seconds that a run may take, and that SQLite may be locked."""


class Server:
    """A running server and what a person does with it."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env

    @property
    def url(self) -> str:
        return self.env["PREFECT_API_URL"].removesuffix("/api")

    def run(self, deployment: str, **parameters: Any) -> tuple[str, dict[str, Any]]:
        """Run a deployment to its end; returns what it logged and the flow run."""
        run_id, deadline = self.start(deployment, **parameters), time.monotonic() + RUN_S
        while (run := self.flow_run(run_id))["state_type"] not in FINAL:
            assert time.monotonic() < deadline, f"{deployment} is {run['state_name']} after {RUN_S} s"
            time.sleep(0.2)
        logs = self.ask("logs/filter", {"logs": {"flow_run_id": {"any_": [run_id]}}})
        return "\n".join(log["message"] for log in logs), run

    def run_by_command(self, deployment: str, **parameters: Any) -> tuple[str, dict[str, Any]]:
        """Run a deployment to its end, as a person would; returns what the command printed and the flow run."""
        given = [arg for key, value in parameters.items() for arg in ("--param", f"{key}={json.dumps(value)}")]
        before = {run["id"] for run in self.flow_runs()}
        command = [sys.executable, "-m", "prefect", "deployment", "run", deployment, "--watch", *given]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=RUN_S, check=False)
        [run] = [run for run in self.flow_runs() if run["id"] not in before]
        return done.stdout + done.stderr, run

    def start(self, deployment: str, **parameters: Any) -> str:
        """Ask for a run of a deployment; returns the ID of the flow run."""
        found = self.ask(f"deployments/name/{deployment}")["id"]
        return self.ask(f"deployments/{found}/create_flow_run", {"parameters": parameters})["id"]

    def setup(self, *options: object) -> subprocess.CompletedProcess[str]:
        """Give the server its limits and automations."""
        command = [Path(sys.executable).with_name("stvg"), "setup", *map(str, options)]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, check=False)

    def flow_runs(self) -> list[dict[str, Any]]:
        return self.ask("flow_runs/filter", {})

    def flow_run(self, run_id: str) -> dict[str, Any]:
        return self.ask(f"flow_runs/{run_id}")

    def task_runs(self, run: dict[str, Any]) -> list[str]:
        found = self.ask("task_runs/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}})
        return [f"{task['name'].rsplit('-', 1)[0]} {task['state_type']}" for task in found]

    def artifacts(self, run: dict[str, Any]) -> dict[str, dict[str, Any]]:
        found = self.ask("artifacts/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}})
        return {artifact["key"]: artifact for artifact in found}

    def ask(self, path: str, body: object = None) -> Any:
        """Ask again while SQLite is locked, as Prefect's own clients do."""
        deadline = time.monotonic() + LOCKED_S
        while True:
            try:
                return ask(self.env, path, body)
            except urllib.error.HTTPError as error:
                if error.code != HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)


@pytest.fixture(scope="session")
def server_factory() -> Callable[[dict[str, str]], Server]:
    """`Server`, for tests that keep a server of their own."""
    return Server


@pytest.fixture(scope="session")
def planted() -> dict[str, str]:
    """Secrets in the environment of `server` and its flow runs."""
    return {name: f"planted-{number}-{name.lower()}" for number, name in enumerate(("AWS_SECRET_ACCESS_KEY", "HF_TOKEN"))}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, planted: dict[str, str]) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("prefect")
    env = {**prefect_environment(free_port(), home), **planted, "STVG_SITE": str(home / SITE)}
    (home / SITE).touch()
    with running_server(env, home), serve_deployments(env, home):
        assert _speaking_to(env), "what follows would find nothing"
        yield Server(env)
    assert _speaking_to(env) == [], "the server left processes behind"


def _speaking_to(env: dict[str, str]) -> list[psutil.Process]:
    """The processes on this machine that were started with the address of a server."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("PREFECT_API_URL") == env["PREFECT_API_URL"]:
                found.append(process)
    return found


@pytest.fixture
def clips(tmp_path: Path, square_clip: Path) -> Path:
    """A folder of twelve short videos."""
    folder = tmp_path / "videos"
    folder.mkdir()
    for number in range(12):
        shutil.copy(square_clip, folder / f"{number:02d}.mp4")
    return folder
