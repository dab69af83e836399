"""A parameter model as the form of a deployment: nested groups, required fields first, bounds in the descriptions."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

from prefect.utilities.callables import ParameterSchema
from pydantic import BaseModel

from storage.common.config import Config, is_needed

M = TypeVar("M", bound=BaseModel)
R = TypeVar("R")

_BOUNDS = {"minimum": "from {:,}", "exclusiveMinimum": "above {:,}", "maximum": "to {:,}", "exclusiveMaximum": "below {:,}"}


def takes(model: type[M]) -> Callable[[Callable[[M], R]], Callable[..., R]]:
    """Let `function(parameters: model)` be called with the fields of the model as keyword arguments, as Prefect does.

    Groups reach the model as Prefect passes them, so that the fields that are absent take the defaults of this model.
    """

    def decorate(function: Callable[[M], R]) -> Callable[..., R]:
        @functools.wraps(function)
        def flow(**values: Any) -> R:
            return function(model.model_validate(values))

        fields = sorted(model.model_fields.items(), key=lambda item: not is_needed(item[1]))
        signature = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if field.is_required() else field.default,
                annotation=Any if isinstance(field.default, Config) else Annotated[field.annotation, field],
            )
            for name, field in fields
        ]
        flow.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]
        flow.__annotations__ = {p.name: p.annotation for p in signature}
        del flow.__wrapped__
        return flow

    return decorate


def form(model: type[BaseModel]) -> ParameterSchema:
    """The form of a flow in the Prefect UI: the fields of its parameter model, required ones first."""
    schema = model.model_json_schema()
    first = [name for name, field in model.model_fields.items() if is_needed(field)]
    fields = _properties(schema, schema.get("$defs", {}), {}, first)
    # Prefect sends only what was set, and its UI shows a bare JSON editor for a schema without a type.
    return ParameterSchema(
        title="Parameters", type="object", properties=fields, required=schema.get("required", []), definitions={}
    )


def _properties(
    schema: Mapping[str, Any], groups: Mapping[str, Any], defaults: Mapping[str, Any], first: Sequence[str] = ()
) -> dict[str, Any]:
    names = sorted(schema["properties"], key=lambda name: name not in first)
    described = {}
    for position, name in enumerate(names):
        field = schema["properties"][name]
        if name in defaults:
            field = {**field, "default": defaults[name]}
        described[name] = {**_inlined(field, groups), "position": position}
    return described


def _inlined(field: Mapping[str, Any], groups: Mapping[str, Any]) -> dict[str, Any]:
    """A field whose reference to a group is replaced by the group; the UI shows the defaults that stand in it."""
    if "$ref" not in field:
        return _bounded(field)
    group = groups[field["$ref"].rpartition("/")[2]]
    own = {name: value for name, value in field.items() if name != "$ref"}
    return {
        "type": "object",
        "title": group["title"],
        "description": group.get("description", ""),
        **own,
        "properties": _properties(group, groups, field.get("default", {})),
    }


def _bounded(field: Mapping[str, Any]) -> dict[str, Any]:
    """The field with its bounds in its description: the UI tells of them only after they are broken."""
    bounds = " ".join(text.format(field[bound]) for bound, text in _BOUNDS.items() if bound in field)
    return {**field, "description": f"{field['description']} ({bounds})"} if bounds else dict(field)
