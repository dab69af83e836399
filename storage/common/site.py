"""The site file `stvg.toml`: settings of one installation, which commands, deployments and forms take as their defaults.

A table holds the parameters of a command, by name or dotted path: `[build]` those of every build, `[benchmarks.hcstvg]` those
of the build of one benchmark. `[folders]` holds the folders that several commands share. An option or a field of a form
replaces a value of the site file; an environment variable does so where there is one. The file holds no secrets.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError, create_model
from pydantic.fields import FieldInfo

from storage.common.config import Config, error_text, merged, nested
from storage.common.environment import variable
from storage.common.errors import InputError

M = TypeVar("M", bound=BaseModel)

SITE = "stvg.toml"
"""Name of the site file in the working folder; $STVG_SITE names another one."""

FOLDERS = ("datasets", "evaluations", "trainings", "weights")
"""Keys of the table `[folders]`. A parameter with the metadata `folders.datasets` takes that folder as its default."""

Table = Mapping[str, JsonValue]


class SiteError(InputError):
    """A site file that cannot be used; the message names the table and the setting."""


@dataclass(frozen=True)
class Site:
    """The content of a site file; without a file, of an empty one.

    Attributes:
        path: path of the file; relative paths in it are relative to its folder.
        tables: tables by name, those of benchmarks as `benchmarks.<name>`.
    """

    path: Path
    tables: Mapping[str, Table]

    def configured(self, model: type[M], *tables: str) -> type[M]:
        """A parameter model whose defaults are those of the site.

        Args:
            model: the parameter model.
            tables: names of the tables that apply, in ascending order of precedence; those that are absent are skipped.

        Returns:
            A subclass with the name of the model, or the model itself where nothing applies.

        Raises:
            SiteError: a table has a setting that is no parameter of the model, or a wrong value.
        """
        fields = dict(self._folders(model))
        for table in tables:
            for name, value in nested(self.tables.get(table, {})).items():
                field = fields.get(name) or model.model_fields.get(name)
                if field is None:
                    raise SiteError(self._unknown(f"[{table}]", name, model.model_fields))
                fields[name] = self._with_default(field, value, f"[{table}] {name}")
        definitions: dict[str, Any] = {name: (field.annotation, field) for name, field in fields.items()}
        return create_model(model.__name__, __base__=model, __doc__=model.__doc__, **definitions) if fields else model

    def folder(self, name: str, default: str) -> str:
        """One of `FOLDERS`, or the default where the site does not set it."""
        value = self.tables.get("folders", {}).get(name, default)
        return self._located(value) if name in self.tables.get("folders", {}) else default

    def _folders(self, model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
        for key in self.tables.get("folders", {}):
            if key not in FOLDERS:
                raise SiteError(self._unknown("[folders]", key, FOLDERS))
            for name, field in model.model_fields.items():
                if f"folders.{key}" in field.metadata:
                    yield name, self._with_default(field, self.tables["folders"][key], f"[folders] {key}")

    def _with_default(self, field: FieldInfo, value: JsonValue, where: str) -> FieldInfo:
        old, new = field.default, copy(field)
        try:
            if isinstance(old, Config):
                changes = value if isinstance(value, Mapping) else {"name": value}
                new.default = type(old).model_validate(merged(old.model_dump(), changes))
            else:
                definition: Any = (field.annotation, field)
                checked = dict(create_model("Setting", value=definition).model_validate({"value": value}))["value"]
                new.default = self._located(checked) if "located" in field.metadata else checked
        except ValidationError as error:
            raise SiteError(f"{self.path}: {where}: {error_text(error).removeprefix('value: ')}") from error
        return new

    def _located(self, value: object) -> str:
        path = str(value)
        return path if not path or "://" in path or Path(path).is_absolute() else str(self.path.parent / path)

    def _unknown(self, table: str, name: str, known: Any) -> str:
        hint = get_close_matches(name, known, 1)
        return f"{self.path}: {table} has no setting '{name}'" + (f": did you mean '{hint[0]}'?" if hint else "")


NO_SITE = Site(Path(SITE), {})
"""An empty site file."""


def read_site(path: Path) -> Site:
    """Read a site file.

    Raises:
        SiteError: it cannot be read, or is not TOML, or has a value outside a table.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SiteError(f"the site file {path} cannot be read: {error_text(error)}") from error
    for name, table in content.items():
        if not isinstance(table, Mapping):
            raise SiteError(f"{path}: '{name}' stands outside a table: put it below [build] or another table")
    benchmarks = content.pop("benchmarks", {})
    return Site(path, {**content, **{f"benchmarks.{name}": table for name, table in benchmarks.items()}})


def site() -> Site:
    """The site file of this process: that of $STVG_SITE, or `stvg.toml` in the working folder if there is one.

    Raises:
        SiteError: the file cannot be read, or $STVG_SITE names none.
    """
    named = variable("STVG_SITE")
    path = Path(named or SITE)
    return read_site(path) if named or path.is_file() else NO_SITE
