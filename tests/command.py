"""The `stvg` command in the test's own process: the same arguments, outputs and exit code, without another start of Python."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

Command = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="session")
def stvg() -> Command:
    """Runs `stvg` with arguments in the folder `cwd`; where the process itself is tested, start one."""
    return _stvg


def _stvg(*arguments: object, cwd: Path) -> CompletedProcess[str]:
    from infra.cli import main

    given, code = [str(argument) for argument in arguments], 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        patch.chdir(cwd)
        patch.setattr(sys, "argv", ["stvg", *given])
        patch.setenv("COLUMNS", "160")
        patch.setenv("NO_COLOR", "1")
        try:
            main()
        except SystemExit as stop:
            code = _exit_code(stop.code)
    return CompletedProcess(given, code, out.getvalue(), err.getvalue())


def _exit_code(code: Any) -> int:
    """As Python itself has it: nothing is 0, a text goes to standard error and is 1."""
    if isinstance(code, str):
        print(code, file=sys.stderr)
        return 1
    return int(code or 0)
