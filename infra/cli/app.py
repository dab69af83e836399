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
from storage.common.environment import set_defaults
from storage.common.errors import InputError, StvgError
from storage.common.log import logger, traceback_file

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
    """Run `stvg`: an error is printed as one sentence and becomes an exit code.

    The traceback of an unexpected error is kept in a file that the sentence names; `-v` logs that of every error.
    """
    set_defaults({"PYDANTIC_DISABLE_PLUGINS": "__all__"})  # the search for them reads the metadata of every installed package
    try:
        app()()
    except StvgError as error:
        _fail(error, str(error), error.exit_code)
    except Exception as error:
        if "pydantic" in sys.modules and (invalid := _invalid_input(error)):
            _fail(error, invalid, InputError.exit_code)
        from storage.folders.files import disk_fault

        if fault := disk_fault(error):
            _fail(error, f"{fault}; mend that, and run the same command again", StvgError.exit_code)
        file = traceback_file(error)
        _fail(error, f"{type(error).__name__}: {error} (unexpected; the traceback is in {file})", StvgError.exit_code)


def _invalid_input(error: Exception) -> str:
    """The sentence on a value that a parameter model refuses; empty for any other error."""
    from pydantic import ValidationError

    from infra.cli.flags import sentence

    return sentence(error) if isinstance(error, ValidationError) else ""


def _fail(error: Exception, message: str, code: int) -> NoReturn:
    from rich.text import Text

    from infra.cli.console import plain, printable

    logger(__name__).debug("the command failed", exc_info=error)
    plain(stderr=True).print(Text.assemble(("error:", "red"), f" {printable(message)}"), soft_wrap=True)
    sys.exit(code)
