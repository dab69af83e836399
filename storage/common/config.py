"""Base of configuration models: frozen, nested, hashed by the fields that shape an output, and parsed back when read.

A value is called by its dotted path everywhere: `markers.size` is the field `size` of the group `markers`. The field `name` of
a group goes by the group's own name: `detector` is `detector.name`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, NamedTuple, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, JsonValue, ValidationError, create_model, model_validator
from pydantic.fields import FieldInfo

from storage.common.errors import InputError

M = TypeVar("M", bound=BaseModel)

RUNTIME: Final = "runtime"
"""Metadata of a field that does not shape the output, `device: Annotated[str, RUNTIME]`: it is no part of a hash."""

Located = Annotated[str, "located"]
"""The path of a file or folder, or an `s3://` URL."""

INPUT: Final = "input"
"""Metadata of a field whose empty default stands for a setting that the site file lacks: an argument of its command."""
Input = Annotated[str, "located", INPUT]
"""A `Located` of something that must exist, which a person or the site file names."""

DatasetsFolder = Annotated[str, "located", "folders.datasets"]
EvaluationsFolder = Annotated[str, "located", "folders.evaluations"]
TrainingsFolder = Annotated[str, "located", "folders.trainings"]
"""Folders that several commands share; the site file sets each of them once."""


def error_text(error: Exception) -> str:
    """The message of an error in one sentence: of a `ValidationError` the first wrong field, of an `OSError` its reason."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


class ConfigError(InputError):
    """A stored configuration that this version of the code cannot read."""


class Config(BaseModel):
    """A frozen group of settings.

    A group is also accepted as a mapping that holds some of its fields; the others come from the default of the field that
    holds the group. A group with a field `name` is also accepted as that name.

    Attributes:
        site_tables: tables of the site file whose settings replace defaults of the model, in ascending order of precedence.
    """

    site_tables: ClassVar[tuple[str, ...]] = ()

    # Defaults are validated: 1 and 1.0 for a float must give the same hash.
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, values: object) -> object:
        if isinstance(values, str) and "name" in cls.model_fields:
            return {"name": values}
        if not isinstance(values, Mapping):
            return values
        return {name: _completed(cls.model_fields.get(name), value) for name, value in values.items()}

    def unused(self) -> frozenset[str]:
        """Names of the fields that have no effect beside the values of the other fields; they are no part of a hash."""
        return frozenset()

    def located(self) -> Self:
        """A copy whose paths are absolute, for processes that run in another working folder; URLs stay as they are."""
        names = [name for name, field in type(self).model_fields.items() if "located" in field.metadata]
        paths = {name: path for name in names if (path := getattr(self, name)) and "://" not in path}
        return self.model_copy(update={name: str(Path(path).absolute()) for name, path in paths.items()})


def _completed(field: FieldInfo | None, value: object) -> object:
    if field is None or not isinstance(field.default, Config):
        return value
    if isinstance(value, str) and "name" in type(field.default).model_fields:
        value = {"name": value}
    return merged(field.default.model_dump(), value) if isinstance(value, Mapping) else value


def shaping(config: Config) -> dict[str, JsonValue]:
    """JSON values of the fields that shape an output: those not marked `RUNTIME` and not unused."""
    fields = type(config).model_fields.items()
    names = {name for name, field in fields if RUNTIME not in field.metadata} - config.unused()
    values: dict[str, JsonValue] = config.model_dump(mode="json", include=names)
    groups = {name: value for name in names if isinstance(value := getattr(config, name), Config)}
    return {**values, **{name: shaping(group) for name, group in groups.items()}}


def read_config(model: type[M], values: Mapping[str, JsonValue], source: str) -> M:
    """Parse a stored configuration.

    Args:
        model: the model whose dump was stored.
        values: the stored dump, or its part that `shaping` gives; missing fields take their defaults.
        source: names the file or dataset in an error.

    Raises:
        ConfigError: a field is unknown or has a wrong value; the message names the first.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"the settings stored in {source} cannot be read here ({error_text(error)})") from error


class Leaf(NamedTuple):
    """A field of a model or of one of its groups.

    Attributes:
        path: names from the model to the field.
        field: type, title, description, bounds.
        default: the value in the default of the outermost group; the field's own without one.
        group: title of the innermost group; empty for a field of the model itself.
    """

    path: tuple[str, ...]
    field: FieldInfo
    default: object
    group: str = ""

    @property
    def name(self) -> str:
        """The dotted path, without a last part `name` of a group: `markers.size`, `detector`."""
        path = self.path[:-1] if len(self.path) > 1 and self.path[-1] == "name" else self.path
        return ".".join(path)


def is_needed(field: FieldInfo) -> bool:
    """Whether a value must come from a person or the site file: a required field, or one of `INPUT`."""
    return field.is_required() or INPUT in field.metadata


def leaves(model: type[BaseModel]) -> Iterator[Leaf]:
    """Every field that is no group, of the model and of its groups, in the order of their definition."""
    for name, field in model.model_fields.items():
        if isinstance(field.default, Config):
            yield from _leaves_of(field.default, (name,), field.title or name)
        else:
            yield Leaf((name,), field, field.default)


def _leaves_of(config: Config, path: tuple[str, ...], title: str) -> Iterator[Leaf]:
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if isinstance(value, Config):
            yield from _leaves_of(value, (*path, name), field.title or name)
        else:
            yield Leaf((*path, name), field, value, title)


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by dotted path as nested groups: `{"markers.size": 40}` is `{"markers": {"size": 40}}`."""
    groups: dict[str, Any] = {}
    for path, value in values.items():
        first, _, rest = path.partition(".")
        given = nested({rest: value}) if rest else value
        groups[first] = merged(_group(groups[first]), _group(given)) if first in groups else given
    return groups


def _group(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {"name": value}


def merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Nested values with some of them replaced, group by group; a bare name replaces the field `name` of a group.

    Args:
        values: nested values.
        changes: nested values that replace them.
    """
    result = dict(values)
    for name, change in changes.items():
        old = result.get(name)
        if isinstance(old, Mapping) and not isinstance(change, Config):
            result[name] = merged(old, _group(change))
        else:
            result[name] = change
    return result


def changed(config: M, changes: Mapping[str, Any]) -> M:
    """A copy with values replaced by their dotted paths, validated.

    Args:
        config: configuration to copy.
        changes: dotted path -> new value.

    Raises:
        ValidationError: there is no such field, or a value is out of its bounds.
    """
    return type(config).model_validate(merged(config.model_dump(), nested(changes)))


def with_defaults(model: type[M], name: str, /, **defaults: object) -> type[M]:
    """A subclass of a model under another name in which these fields have other defaults."""
    fields: dict[str, Any] = {}
    for field_name, default in defaults.items():
        field = copy(model.model_fields[field_name])
        field.default = default
        fields[field_name] = (field.annotation, field)
    return create_model(name, __base__=model, __doc__=model.__doc__, **fields)


def _split(value: object) -> object:
    return comma_separated(value) if isinstance(value, str) else value


def comma_separated(text: str) -> list[str]:
    """The names in a comma-separated text, without blanks around them; none is empty."""
    return [name.strip() for name in text.split(",") if name.strip()]


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""Several names; a text is read as comma-separated."""
