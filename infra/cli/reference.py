"""The reference page of all commands, written by `python -m infra.cli.reference > docs/reference/commands.md`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args

from infra.cli.app import app
from infra.cli.lazy import VERBOSE, LazyGroup


class OptionRow(NamedTuple):
    """A row of a table of options.

    Attributes:
        option: its flags, or the name of an argument.
        takes: its type with bounds, or its choices.
        default: its default value.
        about: its help.
    """

    option: str
    takes: str
    default: str
    about: str


_HEAD = """# Commands and parameters

Options of commands, forms of deployments and Python's parameter models are one: `--limits.max-objects` is the field
`max_objects` of the group `limits`, and what the form shows as *Most objects* below *Limits*. In files and `--set` it is
`limits.max_objects`. Every command takes `--help`, and `-v` (`--verbose`) for debug messages and
tracebacks; without it, messages of the level `STVG_LOG` (`WARNING`) and above are logged.

Exit codes: 0 done, 1 the run failed, 2 the input cannot be used, 3 the error budget is exceeded, 130 interrupted.
"""
_KINDS = {str: "text", int: "integer", float: "number", Path: "path"}


def commands_page() -> str:
    """Every command with its options, as Markdown; options that several commands share are listed once."""
    root = app()
    assert isinstance(root, LazyGroup)
    loaded = {name: root.load(name) for name, entry in root.entries.items() if not entry.hidden}
    groups: dict[tuple[str, ...], dict[str, LazyGroup]] = {}
    for name, command in loaded.items():
        if isinstance(command, LazyGroup):
            groups.setdefault(tuple(command.entries), {})[name] = command
    single = [_section(name, c.help, rows(c)) for name, c in loaded.items() if not isinstance(c, LazyGroup)]
    return "\n".join([_HEAD, *single, *(part for group in groups.values() for part in _group(group))])


def rows(command: Any) -> list[OptionRow]:
    """The options of a command, in its order."""
    return [_row(parameter) for parameter in command.params if parameter.name != VERBOSE]


def _row(parameter: Any) -> OptionRow:
    argument = parameter.param_type_name == "argument"
    names = [parameter.name.upper()] if argument else [*parameter.opts, *parameter.secondary_opts]
    default = "" if parameter.default is None else str(parameter.default)
    if getattr(parameter, "is_flag", False):
        default = ("on" if parameter.default else "off") if parameter.secondary_opts else ""
        return OptionRow(", ".join(names), "", default, parameter.help)
    if parameter.required:
        default = "must be given"
    elif argument and not default:
        default = "that of the site file"
    return OptionRow(", ".join(names), _type(parameter), default, parameter.help)


def _type(parameter: Any) -> str:
    """The choices of an option, or its type with bounds."""
    annotation = parameter.type_descriptor.annotation
    kinds = [kind for kind in get_args(annotation) or (annotation,) if kind is not type(None)]
    bounds = [f"{word} {bound}" for word, bound in (("from", parameter.min), ("to", parameter.max)) if bound is not None]
    return " ".join([" | ".join(_KINDS.get(kind, kind) for kind in kinds), *bounds])


def _group(group: Mapping[str, LazyGroup]) -> Iterator[str]:
    """Groups with the same commands: the options of all of them, then the further options of each command."""
    names = list(next(iter(group.values())).entries)
    loaded = {name: {verb: command.load(name) for verb, command in group.items()} for name in names}
    every = {name: _of_any({verb: rows(command) for verb, command in loaded[name].items()}) for name in names}
    common = [row for row in every[names[0]] if all(row in own for own in every.values())]
    about = " ".join(f"{command.help} (`{verb}`)" if len(group) > 1 else command.help or "" for verb, command in group.items())
    yield _section(" NAME, stvg ".join(group) + " NAME", f"{about} NAME is one of those below; each takes", common)
    for name in names:
        own = next(iter(loaded[name].values()))
        yield _section(name, own.help, [row for row in every[name] if row not in common], "### ")


def _of_any(verbs: Mapping[str, list[OptionRow]]) -> list[OptionRow]:
    """The rows of several commands, each once, with the commands that have it unless all have it."""
    rows: list[OptionRow] = []
    for row in dict.fromkeys(row for own in verbs.values() for row in own):
        having = [verb for verb, own in verbs.items() if row in own]
        rows.append(row if len(having) == len(verbs) else row._replace(about=f"{row.about} ({', '.join(having)} alone)"))
    return rows


def _section(title: str, about: str | None, own: Iterable[OptionRow], level: str = "## stvg ") -> str:
    lines = [f"| {_code(r.option)} | {_code(r.takes)} | {_code(r.default)} | {_escaped(r.about)} |" for r in own]
    table = ["", "| option | takes | default | |", "|---|---|---|---|", *lines] if lines else []
    return "\n".join([level + title, "", _escaped(about or ""), *table, ""])


def _code(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`" if text else ""


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("<", "&lt;").replace("|", "\\|").replace("*", "\\*")


if __name__ == "__main__":
    print(commands_page(), end="")
