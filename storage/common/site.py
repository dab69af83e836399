"""The site file `stvg.toml`: settings of one installation, which commands, deployments and forms take as their defaults.

A table holds the parameters of a command, by name or dotted path: `[build]` those of every build, `[benchmarks.hcstvg]` those
of the build of one benchmark. `[folders]` holds the folders that several commands share. An option or a field of a form
replaces a value of the site file; an environment variable does so where there is one. The file holds no secrets.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import JsonValue, ValidationError, create_model
from pydantic.fields import FieldInfo

from storage.common.config import Config, error_text, merged, nested, with_defaults
from storage.common.environment import variable
from storage.common.errors import InputError

C = TypeVar("C", bound=Config)

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

    def configured(self, model: type[C]) -> type[C]:
        """A parameter model whose defaults are those of the site, by its `site_tables`.

        Args:
            model: the parameter model.

        Returns:
            A subclass with the name of the model, or the model itself where nothing applies.

        Raises:
            SiteError: a table has a setting that is no parameter of the model, or a wrong value.
        """
        defaults = dict(self._folder_defaults(model))
        for table in model.site_tables:
            for name, value in nested(self.tables.get(table, {})).items():
                field = model.model_fields.get(name)
                if field is None:
                    raise SiteError(self._unknown(f"[{table}]", name, model.model_fields))
                defaults[name] = self._default(field, defaults.get(name, field.default), value, f"[{table}] {name}")
        return with_defaults(model, model.__name__, **defaults) if defaults else model

    def folder(self, name: str) -> str:
        """One of `FOLDERS`; a folder of that name in the working folder where the site does not set it."""
        folders = self.tables.get("folders", {})
        return self._located(folders[name]) if name in folders else name

    def _folder_defaults(self, model: type[Config]) -> Iterator[tuple[str, object]]:
        for key, value in self.tables.get("folders", {}).items():
            if key not in FOLDERS:
                raise SiteError(self._unknown("[folders]", key, FOLDERS))
            for name, field in model.model_fields.items():
                if f"folders.{key}" in field.metadata:
                    yield name, self._default(field, field.default, value, f"[folders] {key}")

    def _default(self, field: FieldInfo, old: object, value: JsonValue, where: str) -> object:
        """The default that a setting gives a field in place of the old one."""
        try:
            if isinstance(old, Config):
                changes = value if isinstance(value, Mapping) else {"name": value}
                return type(old).model_validate(merged(old.model_dump(), changes))
            definition: Any = (field.annotation, field)
            checked = dict(create_model("Setting", value=definition).model_validate({"value": value}))["value"]
        except ValidationError as error:
            raise SiteError(f"{self.path}: {where}: {error_text(error).removeprefix('value: ')}") from error
        return self._located(checked) if "located" in field.metadata else checked

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
