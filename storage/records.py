"""JSON records that are not believed blindly: they carry a digest of themselves, and the kind of every value is checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from storage.folders.files import digest

T = TypeVar("T")

SEAL = "digest"


def sealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """A record with a digest of its content, so that damage to it shows."""
    return {**value, SEAL: digest(value)}


def parsed(kind: type[T], data: bytes) -> T:
    """Read a record as a dataclass, or as a list of them.

    Args:
        kind: dataclass, or list of a dataclass, to parse into.
        data: sealed JSON bytes.

    Raises:
        ValueError: it is no JSON, is not what was sealed, lacks a field or has one of the wrong kind; the message says which.
    """
    try:
        value = json.loads(data)
        seal = value.pop(SEAL, None) if isinstance(value, dict) else None
        if seal is not None and seal != digest(value):
            raise ValueError("it is not what was written: its digest is another")
        return cast(T, _adapter(cast(Any, kind)).validate_json(data, strict=True))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}") from None


@lru_cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
