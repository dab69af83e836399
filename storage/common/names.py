"""Look-up of named entries, and checks of names that become paths."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TypeVar

T = TypeVar("T")


def one_of(table: Mapping[str, T], name: str, what: str, error: type[Exception]) -> T:
    """The entry of this name.

    Args:
        table: name -> entry.
        name: requested name.
        what: kind of entry, for the message.
        error: exception type to raise.

    Raises:
        Exception: the `error` that is given, with a sentence that says what there is to choose from.
    """
    if name not in table:
        raise error(f"there is no {what} '{name}': choose from {', '.join(table)}")
    return table[name]


def is_contained_path(name: str) -> bool:
    """Whether a name is a relative path that cannot lead out of the folder it is looked up in."""
    path = PurePosixPath(name)
    return bool(path.name) and not path.is_absolute() and ".." not in path.parts and "\\" not in name and "\0" not in name
