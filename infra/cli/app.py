"""The `stvg` command: the same work as the deployments, without a server.

Exit codes: 0 done; 1 the run failed; 2 the input cannot be used; 3 the error budget is exceeded; 130 interrupted.
"""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.main import get_command

from infra.cli.commands import COMMANDS
from infra.cli.lazy import LazyGroup
from storage.common.errors import InputError, StvgError

_HELP = "Object-centric datasets, training and evaluation for video grounding."


class _Stvg(LazyGroup):
    def __init__(self, **attributes: Any) -> None:
        super().__init__(COMMANDS, **attributes)


def app() -> TyperGroup:
    """The group of all commands, with the options that install shell completion."""
    group = typer.Typer(cls=_Stvg, help=_HELP, pretty_exceptions_enable=False)
    group.callback()(_nothing)
    command = get_command(group)
    assert isinstance(command, TyperGroup)
    return command


def _nothing() -> None:
    """Take no option: those of a command follow its name."""


def run() -> None:
    """Run `stvg`; a foreseen error is printed as one sentence and becomes an exit code, without a traceback."""
    try:
        app()()
    except StvgError as error:
        _fail(str(error), error.exit_code)
    except ValueError as error:
        from pydantic import ValidationError

        from infra.cli.flags import sentence

        if not isinstance(error, ValidationError):
            raise
        _fail(sentence(error), InputError.exit_code)


def _fail(message: str, code: int) -> NoReturn:
    from rich.text import Text

    from infra.cli.console import plain, printable

    plain(stderr=True).print(Text.assemble(("error:", "red"), f" {printable(message)}"), soft_wrap=True)
    sys.exit(code)
