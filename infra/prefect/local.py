"""Processes of a Prefect server on this machine, each with its log; each ends with the block that keeps it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.prefect.access import HOST, ask, server_environment
from storage.common.errors import TransientError
from storage.common.processes import stop_process_tree

START_TIMEOUT_S = 120.0
_POLL_S = 0.2


class ServerError(TransientError):
    """The Prefect server or the process that runs deployments did not come up."""


@dataclass(frozen=True)
class Background:
    """A process in the background.

    Attributes:
        process: the process, which leads a session of its own.
        log: the file of its standard output and error.
    """

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """Its process ID."""
        return self.process.pid

    def wait_for(self, env: Mapping[str, str], path: str) -> None:
        """Wait until the server answers a path of its API.

        Args:
            env: the environment that reaches the server.
            path: below the address of the API, such as `health`.

        Raises:
            ServerError: the process ended, or there was no answer within `START_TIMEOUT_S`.
        """
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                ask(env, path)
            except OSError:
                time.sleep(_POLL_S)
            else:
                return
        raise ServerError(f"{env['PREFECT_API_URL']}/{path} did not answer: see {self.log}")


@contextmanager
def background(command: Sequence[str], env: Mapping[str, str], log: Path) -> Iterator[Background]:
    """Keep a process up for the length of the block; it ends with all its descendants.

    Args:
        command: the program and its arguments.
        env: the whole environment of the process.
        log: the file to which its output is appended.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, env=env, stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True
        )
    try:
        yield Background(process, log)
    finally:
        stop_process_tree(process.pid)
        process.wait()


@contextmanager
def server(env: Mapping[str, str], home: Path, host: str = HOST) -> Iterator[int]:
    """Keep the server that `env` reaches up for the length of the block; yield its process ID.

    Args:
        env: the environment of its clients, of `infra.prefect.access.prefect_environment`.
        home: folder of its state and log.
        host: address on which it listens.

    Raises:
        ServerError: it did not come up.
    """
    port = env["PREFECT_API_URL"].rsplit(":", 1)[1].removesuffix("/api")
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", host, "--port", port]
    with background(command, server_environment(env), home / "server.log") as process:
        process.wait_for(env, "health")
        yield process.pid
