"""The commands of a Prefect server: `stvg serve`, `stvg setup` and `stvg demo`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from infra.prefect.access import HOST
from infra.prefect.setup import SetupParameters


def serve(
    port: Annotated[int, typer.Option(help="TCP port of the UI; 0 takes a free one.")] = 4200,
    host: Annotated[str, typer.Option(help="Address on which the server listens.")] = HOST,
    auth: Annotated[
        bool, typer.Option("--auth/--no-auth", help="Whether the server asks for the password in .stvg/auth.")
    ] = True,
) -> None:
    """Keep a Prefect server, its UI and the deployments up until interrupted."""
    from infra.prefect.local import serve as keep_up

    keep_up(port, host=host, auth=auth)


def setup(parameters: SetupParameters) -> None:
    """Give the server its limits and automations, and print a line for each.

    Raises:
        SetupError: the server cannot be used, or there is no such notification block.
    """
    from flows.automations import set_up

    print(*set_up(parameters), sep="\n")


def demo() -> None:
    """Run `build-dataset/sample` from a server that is started for it, and exit with the code of the run."""
    from infra.prefect.local import demo as run_demo

    sys.exit(run_demo())
