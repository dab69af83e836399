"""A parameter model as the options of a command: one dotted flag for each field, also of its nested groups."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypeVar, get_origin

import typer
from pydantic import ValidationError

from storage.common.config import Config, Leaf, is_needed, leaves, nested
from storage.common.site import site

M = TypeVar("M", bound=Config)
R = TypeVar("R")

ARGUMENTS = frozenset({"annotations", "masks", "videos", "dataset", "video", "sentence", "file", "table"})
"""Needed fields of these names are positional arguments of a command."""
_BOUNDS = {"min": "ge", "max": "le"}


def options(model: type[M]) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Let `function(parameters: model, ...)` be a command whose options are the fields of a model, with the site's defaults.

    Args:
        model: the parameter model; a field `size` of its group `markers` becomes `--markers.size`, and a field `name` of the
            group `detector` becomes `--detector`.

    Returns:
        A decorator. The signature that typer reads has required fields first, then the other ones by group, then the remaining
        parameters of the function.
    """

    def decorate(function: Callable[..., R]) -> Callable[..., R]:
        configured = site().configured(model)
        others = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        by_parameter = {"__".join(leaf.path): leaf for leaf in leaves(configured)}

        @functools.wraps(function)
        def command(**values: Any) -> R:
            rest = {p.name: values.pop(p.name) for p in others if p.name in values}
            fields = nested({".".join(by_parameter[name].path): value for name, value in values.items()})
            return function(configured.model_validate(fields), **rest)

        own = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in others]
        signature = [*_parameters(by_parameter), *own]
        command.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in signature}
        del command.__wrapped__
        return command

    return decorate


def _parameters(by_parameter: dict[str, Leaf]) -> Iterator[inspect.Parameter]:
    for name, leaf in sorted(by_parameter.items(), key=lambda item: not is_needed(item[1].field)):
        several = get_origin(leaf.field.annotation) is tuple
        default = inspect.Parameter.empty if leaf.field.is_required() else leaf.default
        if several and isinstance(default, tuple):
            default = ",".join(map(str, default))
        kind = str if several else leaf.field.annotation
        yield inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, _option(leaf)]
        )


def _option(leaf: Leaf) -> Any:
    field = leaf.field
    if is_needed(field) and leaf.name in ARGUMENTS:
        return typer.Argument(help=field.description, metavar=leaf.name.upper())
    bounds = {key: getattr(m, attribute) for m in field.metadata for key, attribute in _BOUNDS.items() if hasattr(m, attribute)}
    on = flag(leaf.path)
    declared = f"{on}/--no-{on.removeprefix('--')}" if field.annotation is bool else on
    return typer.Option(declared, help=field.description, rich_help_panel=leaf.group or None, **bounds)


def flag(path: tuple[str | int, ...]) -> str:
    """The flag of a field by its path: `--markers.size`, `--detector` for `("detector", "name")`."""
    parts = [str(part).replace("_", "-") for part in path]
    return "--" + ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "name" else parts)


def sentence(error: ValidationError) -> str:
    """The first error of a validation as one sentence that begins with the flag."""
    first = error.errors()[0]
    message = f"{first['msg']} (got {first['input']!r})"
    return f"{flag(first['loc'])}: {message}" if first["loc"] else message
