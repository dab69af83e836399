"""The command line: one module a command."""

from __future__ import annotations

import gc


def main() -> None:
    """Run `stvg` with the arguments of the process."""
    gc.disable()  # until the command runs: reading options leaves no garbage, and looking for it takes a tenth of the start
    try:
        from infra.cli.app import run

        run()
    finally:
        gc.enable()
