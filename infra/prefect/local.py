"""A Prefect server of one's own: on loopback, behind a password, and the process that runs the deployments.

State lies in `.stvg/` below the working directory, in SQLite unless $PREFECT_API_DATABASE_CONNECTION_URL names a database.
Whatever is started here ends with it, by process ID.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import psutil
from rich.console import Console

from infra.forms.benchmarks import BENCHMARKS
from infra.forms.training import TRAININGS, deployment_of
from infra.prefect.access import AUTH_FILE, HOST, ask, check_access, environment, free_port, server_environment
from rl.paper.numbers import table_name, tables
from storage.common.errors import TransientError

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 20.0
DEPLOYMENTS = (
    *(f"{family}/{name}" for family in ("build-dataset", "evaluate") for name in BENCHMARKS),
    *("/".join(deployment_of(recipe)) for recipe in TRAININGS),
    "ground/video",
    "sweep/file",
    *(f"reproduce/{table}" for table in map(table_name, tables())),
    "nightly/benchmarks",
)


class ServerError(TransientError):
    """The Prefect server or the process that runs deployments did not come up."""


@contextmanager
def running(port: int, home: Path, host: str = HOST, auth: bool = True) -> Iterator[dict[str, str]]:
    """Keep a server with all deployments up for the length of the block; yield the environment that reaches it.

    Args:
        port: TCP port of UI and API.
        home: folder of its state; made if missing.
        host: address it listens on.
        auth: whether it asks for the password of `infra.prefect.access.auth_string`.

    Raises:
        AccessError: anybody could use it.
        ServerError: it did not come up; the message names the log.
    """
    check_access(host, auth)
    home.mkdir(parents=True, exist_ok=True)
    env = environment(port, home, host, auth)
    with server(env, home, host), deployments(env, home):
        yield env


@contextmanager
def server(env: Mapping[str, str], home: Path, host: str = HOST) -> Iterator[int]:
    """Keep the server that `env` reaches up for the length of the block; yield its process ID.

    Raises:
        ServerError: it did not come up.
    """
    port = env["PREFECT_API_URL"].rsplit(":", 1)[1].removesuffix("/api")
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", host, "--port", port]
    with _process(command, server_environment(env), home / "server.log") as started:
        _wait(env, "health", started)
        yield started[0].pid


@contextmanager
def deployments(env: Mapping[str, str], home: Path) -> Iterator[int]:
    """Keep the process that runs all deployments up for the length of the block; yield its process ID.

    Raises:
        ServerError: it did not come up.
    """
    with _process([sys.executable, "-m", "flows.deployments"], env, home / "deployments.log") as runner:
        for name in DEPLOYMENTS:
            _wait(env, f"deployments/name/{name}", runner)
        yield runner[0].pid


_Started = tuple[subprocess.Popen[bytes], Path]


@contextmanager
def _process(command: Sequence[str], env: Mapping[str, str], log: Path) -> Iterator[_Started]:
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


def _wait(env: Mapping[str, str], path: str, started: _Started) -> None:
    process, log = started
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            ask(env, path)
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise ServerError(f"{env['PREFECT_API_URL']}/{path} did not answer: see {log}")


def serve(port: int, home: Path = Path(".stvg"), host: str = HOST, auth: bool = True) -> None:
    """Keep server, UI and deployments up until interrupted.

    Raises:
        AccessError: anybody could use it.
        ServerError: it did not come up.
    """
    port = port or free_port()
    console = Console(highlight=False, soft_wrap=True)
    # Set outright: a shell starts what it puts in the background with interrupts ignored.
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, _interrupt)
    with running(port, home, host, auth) as env:
        console.print(f"Prefect UI: http://{host}:{port}   (Ctrl-C stops it)")
        if auth:
            console.print(f"its password is the line in {home / AUTH_FILE}")
        console.print(f"In another shell: export PREFECT_API_URL={env['PREFECT_API_URL']}")
        if auth:
            console.print(f'                  export PREFECT_API_AUTH_STRING="$(cat {home / AUTH_FILE})"')
        console.print("then: .venv/bin/prefect deployment run build-dataset/sample --watch")
        try:
            signal.pause()
        except KeyboardInterrupt:
            console.print("stopping")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def demo(home: Path = Path(".stvg"), root: Path = Path("datasets")) -> int:
    """Run `build-dataset/sample` once from a server started for it; returns the exit code of the run."""
    port, console, started = free_port(), Console(highlight=False, soft_wrap=True), time.monotonic()
    with running(port, home) as env:
        console.print(f"Prefect UI: http://{HOST}:{port} (while this runs; its password is the line in {home / AUTH_FILE})")
        command = [sys.executable, "-m", "prefect", "deployment", "run", "build-dataset/sample", "--watch"]
        code = subprocess.run([*command, "--param", f"root={root}"], env=env, check=False).returncode
    if code:
        console.print(f"[red]error:[/red] the run failed; see {home}/deployments.log")
        return code
    dataset = root / "sample"
    console.print(f"dataset: {dataset}\npreview: {dataset / 'preview.html'}")
    console.print("UI:      make serve keeps it up, with this run in it")
    console.print(f"took {time.monotonic() - started:.0f} s")
    return 0
