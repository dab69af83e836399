"""The commands of a Prefect server: `stvg serve`, `stvg setup` and `stvg demo`.

The state of a server is in `.stvg/` below the working folder, in SQLite unless $PREFECT_API_DATABASE_CONNECTION_URL names a
database.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from infra.prefect.access import AUTH_FILE, HOST, check_access, free_port, prefect_environment
from infra.prefect.setup import SetupParameters

HOME = Path(".stvg")


@contextmanager
def prefect_server(port: int, home: Path, host: str = HOST, auth: bool = True) -> Iterator[dict[str, str]]:
    """Keep a server with all deployments up for the length of the block; yield the environment that reaches it.

    Args:
        port: TCP port of the UI and the API.
        home: folder of its state; made if it does not exist.
        host: address on which it listens.
        auth: whether it asks for the password of `infra.prefect.access.auth_string`.

    Raises:
        AccessError: other machines could use it without a password.
        ServerError: it did not come up; the message names the log.
    """
    from infra.prefect.local import server

    check_access(host, auth)
    home.mkdir(parents=True, exist_ok=True)
    env = prefect_environment(port, home, host, auth)
    with server(env, home, host), serve_deployments(env, home):
        yield env


@contextmanager
def serve_deployments(env: Mapping[str, str], home: Path) -> Iterator[int]:
    """Keep the process that runs all deployments up for the length of the block; yield its process ID.

    Args:
        env: the environment that reaches the server.
        home: folder of its log.

    Raises:
        ServerError: it did not come up, or did not register every deployment.
    """
    from flows.register import registrations
    from infra.prefect.local import background

    with background([sys.executable, "-m", "flows.deployments"], env, home / "deployments.log") as process:
        for name in registrations():
            process.wait_for(env, f"deployments/name/{name}")
        yield process.pid


def serve(
    port: Annotated[int, typer.Option(help="TCP port of the UI; 0 takes a free one.")] = 4200,
    host: Annotated[str, typer.Option(help="Address on which the server listens.")] = HOST,
    auth: Annotated[
        bool, typer.Option("--auth/--no-auth", help="Whether the server asks for the password in .stvg/auth.")
    ] = True,
) -> None:
    """Keep server, UI and deployments up until interrupted.

    Raises:
        AccessError: other machines could use it without a password.
        ServerError: it did not come up.
    """
    port = port or free_port()
    console = Console(highlight=False, soft_wrap=True)
    # Set explicitly: a shell starts background jobs with interrupts ignored.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    with prefect_server(port, HOME, host, auth) as env:
        console.print(f"Prefect UI: http://{host}:{port}   (Ctrl-C stops it)")
        if auth:
            console.print(f"its password is the line in {HOME / AUTH_FILE}")
        console.print(f"In another shell: export PREFECT_API_URL={env['PREFECT_API_URL']}")
        if auth:
            console.print(f'                  export PREFECT_API_AUTH_STRING="$(cat {HOME / AUTH_FILE})"')
        console.print("then: .venv/bin/prefect deployment run build-dataset/sample --watch")
        try:
            signal.pause()
        except KeyboardInterrupt:
            console.print("stopping")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def setup(parameters: SetupParameters) -> None:
    """Give the server its limits and automations, and print a line for each.

    Raises:
        SetupError: the server cannot be used, or there is no such notification block.
    """
    from flows.automations import set_up

    print(*set_up(parameters), sep="\n")


def demo() -> None:
    """Run `build-dataset/sample` from a server that is started for it, and exit with the code of the run."""
    root, dataset = Path("datasets"), Path("datasets") / "sample"
    port, console, start_s = free_port(), Console(highlight=False, soft_wrap=True), time.monotonic()
    with prefect_server(port, HOME) as env:
        console.print(f"Prefect UI: http://{HOST}:{port} (while this runs; its password is the line in {HOME / AUTH_FILE})")
        command = [sys.executable, "-m", "prefect", "deployment", "run", "build-dataset/sample", "--watch"]
        code = subprocess.run([*command, "--param", f"root={root}"], env=env, check=False).returncode
    if code:
        console.print(f"[red]error:[/red] the run failed; see {HOME}/deployments.log")
        raise typer.Exit(code)
    console.print(f"dataset: {dataset}\npreview: {dataset / 'preview.html'}")
    console.print("UI:      make serve keeps it up, with this run in it")
    console.print(f"took {time.monotonic() - start_s:.0f} s")
