"""The command line: one module a command."""

from __future__ import annotations


def main() -> None:
    """Run `stvg` with the arguments of the process."""
    from infra.cli.app import run

    run()
