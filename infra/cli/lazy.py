"""A group of commands whose modules are imported when a command is invoked or its own help is shown."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from storage.common.log import configure

VERBOSE = "verbose"
"""The name of the option that every command has."""


@dataclass(frozen=True)
class Entry:
    """A command before its module is imported.

    Attributes:
        help: the whole help of the command, also shown in the help of the group.
        load: imports and returns the function of the command, with a signature that typer reads, or a group.
        hidden: whether the help of the group leaves it out.
    """

    help: str
    load: Callable[[], Callable[..., None] | TyperGroup]
    hidden: bool = False


def _logged(function: Callable[..., None]) -> Callable[..., None]:
    """The function with the option `--verbose`, which sets the level of the project's logger before it runs."""
    own = inspect.signature(function, eval_str=True)
    option = typer.Option("--verbose", "-v", help="Log debug messages to standard error, and the traceback of every error.")
    verbose = inspect.Parameter(VERBOSE, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, option])

    @functools.wraps(function)
    def command(**values: Any) -> None:
        configure(values.pop(VERBOSE))
        function(**values)

    parameters = [*own.parameters.values(), verbose]
    command.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del command.__wrapped__
    return command


class LazyGroup(TyperGroup):
    """A group that knows the names and the help of its commands, and imports one of them at a time."""

    def __init__(self, entries: Mapping[str, Entry], **attributes: Any) -> None:
        super().__init__(**{**attributes, "no_args_is_help": True})
        self.entries = entries
        self.commands = {
            name: TyperCommand(name, help=entry.help, hidden=entry.hidden, rich_markup_mode=None)
            for name, entry in entries.items()
        }

    def load(self, name: str) -> TyperCommand | TyperGroup:
        """The command of a name, with its options."""
        entry = self.entries[name]
        target = entry.load()
        if isinstance(target, TyperGroup):
            return target
        single = typer.Typer(add_completion=False, rich_markup_mode=self.rich_markup_mode)
        single.command(name, help=entry.help, hidden=entry.hidden)(_logged(target))
        command = get_command(single)
        assert isinstance(command, TyperCommand)
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The name, the loaded command and the remaining arguments of an invocation."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, name and self.load(name), rest
