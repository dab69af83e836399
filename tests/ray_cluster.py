"""A Ray cluster of several node processes on this machine, with a token, and an end by process ID."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from infra.prefect.access import free_port
from infra.ray.client import connect
from storage.common.processes import stop_process_tree


def until(true: Callable[[], Any], timeout_s: float = 300) -> Any:
    """Wait for something to become true; returns it."""
    deadline = time.monotonic() + timeout_s
    while not (found := true()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)
    return found


@dataclass
class Cluster:
    """A Ray cluster of processes on this machine."""

    folder: Path
    address: str
    env: dict[str, str]
    nodes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    until = staticmethod(until)

    def start(self, *options: str) -> str:
        """Start a node; returns the address that others join it by. On a busy machine Ray may give up in 30 s: try again."""
        ports = ("--dashboard-agent-listen-port", str(free_port()), "--object-store-memory", "80000000")
        log = self.folder / f"node-{len(self.nodes)}.log"
        command = [Path(sys.executable).with_name("ray"), "start", *options, *ports, "--block"]
        for _ in range(3):
            with log.open("wb") as output:
                node = subprocess.Popen(command, env=self.env, stdout=output, stderr=output, start_new_session=True)
            self.nodes.append(node)
            until(lambda: self.nodes[-1].poll() is not None or "--block" in log.read_text())
            if node.poll() is None:
                return "".join(re.findall(r"--address='([^']+)'", log.read_text()))
        raise AssertionError(log.read_text())

    def actors(self) -> list[Any]:
        from ray.util.state import list_actors

        return [actor for actor in list_actors(self.address) if actor.state not in {"DEAD"}]

    @property
    def client(self) -> Any:
        return connect(self.address)


Clusters = Callable[..., AbstractContextManager[Cluster]]


@pytest.fixture(scope="session")
def clusters() -> Clusters:
    """Starts a cluster: options of the head, then those of each further node."""
    return _cluster


@contextmanager
def _cluster(head: tuple[str, ...], *nodes: tuple[str, ...]) -> Iterator[Cluster]:
    root = Path(__file__).resolve().parents[1]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "PYTHONPATH": str(root), "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}
    env["PREFECT_RUNNER_POLL_FREQUENCY"] = "1"
    with ExitStack() as ending, tempfile.TemporaryDirectory(prefix="rj", ignore_cleanup_errors=True) as folder:
        dashboard = free_port()
        made = Cluster(Path(folder), f"http://127.0.0.1:{dashboard}", env)
        ending.callback(lambda: [stop_process_tree(node.pid) or node.wait() for node in reversed(made.nodes)])
        own = ("--dashboard-port", str(dashboard), "--port", str(free_port()), "--temp-dir", folder, *head)
        address = made.start("--head", *own, "--dashboard-host", "127.0.0.1", "--ray-client-server-port", str(free_port()))
        for node in nodes:
            made.start("--address", address, *node)
        yield made
