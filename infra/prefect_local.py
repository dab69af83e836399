"""A Prefect server of one's own: SQLite, loopback, and the process that runs the deployments.

State lies in `.stvg/` below the working directory. Whatever is started here ends with it, by process ID.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import psutil
from rich.console import Console

from infra.benchmarks import BENCHMARKS

HOST = "127.0.0.1"
START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 20.0
DEPLOYMENTS = tuple(f"build-dataset/{name}" for name in BENCHMARKS)


class ServerError(Exception):
    """The Prefect server or the process that runs deployments did not come up."""


def free_port() -> int:
    """A TCP port of the loopback interface that nothing listens on."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


def environment(port: int, home: Path) -> dict[str, str]:
    """Environment of the server and its clients: this server, quiet, and telling nobody."""
    url = f"http://{HOST}:{port}/api"
    return {
        **os.environ,
        "PREFECT_HOME": str(home.resolve()),
        "PREFECT_API_URL": url,
        "PREFECT_SERVER_UI_API_URL": url,
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{home.resolve()}/prefect.db",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_CLI_COLORS": "false",
        "DO_NOT_TRACK": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
    }


@contextmanager
def running(port: int, home: Path) -> Iterator[dict[str, str]]:
    """Keep a server with all deployments up for the length of the block; yield the environment that reaches it.

    Raises:
        ServerError: it did not come up; the message names the log.
    """
    home.mkdir(parents=True, exist_ok=True)
    env = environment(port, home)
    server = [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port)]
    with _process(server, env, home / "server.log") as started:
        _wait(f"http://{HOST}:{port}/api/health", started)
        with _process([sys.executable, "-m", "flows.deployments"], env, home / "deployments.log") as runner:
            for name in DEPLOYMENTS:
                _wait(f"http://{HOST}:{port}/api/deployments/name/{name}", runner)
            yield env


@contextmanager
def _process(command: Sequence[str], env: dict[str, str], log: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, env=env, stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True
        )
    try:
        yield process, log
    finally:
        stop(process.pid)
        process.wait()


def stop(pid: int) -> None:
    """End a process and all its descendants: ask it to end, wait up to `STOP_TIMEOUT_S`, then kill what is left of them."""
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
        parent.terminate()
    except psutil.NoSuchProcess:
        return
    psutil.wait_procs([parent], timeout=STOP_TIMEOUT_S)
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, timeout=STOP_TIMEOUT_S)


def _wait(url: str, started: tuple[subprocess.Popen[bytes], Path]) -> None:
    process, log = started
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise ServerError(f"{url} did not answer: see {log}")


def serve(port: int, home: Path = Path(".stvg")) -> None:
    """Keep server, UI and deployments up until interrupted."""
    port = port or free_port()
    console = Console()
    # Set outright: a shell starts what it puts in the background with interrupts ignored.
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, _interrupt)
    with running(port, home) as env:
        console.print(f"Prefect UI: http://{HOST}:{port}   (Ctrl-C stops it)", highlight=False)
        console.print(f"In another shell: export PREFECT_API_URL={env['PREFECT_API_URL']}", highlight=False, soft_wrap=True)
        console.print("then: .venv/bin/prefect deployment run build-dataset/sample --watch", highlight=False)
        try:
            signal.pause()
        except KeyboardInterrupt:
            console.print("stopping")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def demo(home: Path = Path(".stvg"), root: Path = Path("datasets")) -> int:
    """Run `build-dataset/sample` once from a server started for it; returns the exit code of the run."""
    port, console, started = free_port(), Console(), time.monotonic()
    with running(port, home) as env:
        console.print(f"Prefect UI: http://{HOST}:{port} (while this runs)", highlight=False)
        command = [sys.executable, "-m", "prefect", "deployment", "run", "build-dataset/sample", "--watch"]
        code = subprocess.run([*command, "--param", f"root={root}"], env=env, check=False).returncode
    if code:
        console.print(f"[red]error:[/red] the run failed; see {home}/deployments.log", highlight=False)
        return code
    dataset = root / "sample"
    console.print(f"dataset: {dataset}\npreview: {dataset / 'preview.html'}", highlight=False)
    console.print("UI:      make serve keeps it up, with this run in it", highlight=False)
    console.print(f"took {time.monotonic() - started:.0f} s", highlight=False)
    return 0
