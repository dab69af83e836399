"""Functions of one parameter model, shown to frameworks as functions of its fields."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Iterator
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, create_model
from pydantic.fields import FieldInfo

M = TypeVar("M", bound=BaseModel)
R = TypeVar("R")

Annotate = Callable[[str, FieldInfo], Any]
"""Turns a field into the annotation of its parameter."""


def flat(
    model: type[M], annotate: Annotate | None = None, without: Collection[str] = ()
) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Let `function(parameters: model, ...)` be called with the model's fields as keyword arguments.

    The signature that frameworks read shows the fields, required ones first, then the function's other parameters. So a
    field's title, description, bounds and default are written once and reach the Prefect form and the command alike.

    Args:
        model: the parameter model.
        annotate: makes each annotation; by default the field's own type and metadata.
        without: fields that are left at their defaults.
    """

    def decorate(function: Callable[..., R]) -> Callable[..., R]:
        others = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        fields = [field for field in _parameters(model, annotate or _own) if field.name not in without]

        @functools.wraps(function)
        def flattened(**values: Any) -> R:
            rest = {p.name: values.pop(p.name) for p in others if p.name in values}
            return function(model(**values), **rest)

        keyword = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in others]
        flattened.__signature__ = inspect.Signature([*fields, *keyword])  # type: ignore[attr-defined]
        flattened.__annotations__ = {p.name: p.annotation for p in [*fields, *keyword]}
        del flattened.__wrapped__
        return flattened

    return decorate


def _own(_name: str, field: FieldInfo) -> Any:
    return Annotated[field.annotation, field]


def _parameters(model: type[BaseModel], annotate: Annotate) -> Iterator[inspect.Parameter]:
    for name, field in sorted(model.model_fields.items(), key=lambda item: not item[1].is_required()):
        default = inspect.Parameter.empty if field.is_required() else field.default
        yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotate(name, field))


def with_usual(form: type[M], name: str, **usual: str) -> type[M]:
    """The same form under another name, with the usual values of these fields filled in."""
    fields = {field: form.model_fields[field] for field in usual}
    given: Any = {
        field: (str, Field(usual[field], title=told.title, description=told.description)) for field, told in fields.items()
    }
    return create_model(name, __base__=form, __doc__=form.__doc__, **given)


def listed(text: str) -> list[str]:
    """The names in a field that takes several, comma-separated: a form and a command line show it as one line of text."""
    return [name.strip() for name in text.split(",") if name.strip()]
