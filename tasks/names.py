"""Looking up what a person names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


def one_of(table: Mapping[str, T], name: str, what: str, error: type[Exception]) -> T:
    """The entry of this name.

    Raises:
        Exception: the `error` that is given, with a sentence that says what there is to choose from.
    """
    if name not in table:
        raise error(f"there is no {what} '{name}': choose from {', '.join(table)}")
    return table[name]
