"""Validated JSON records: the types of all values are checked, and a digest detects damage."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeVar, cast

from pydantic import JsonValue, TypeAdapter, ValidationError

from storage.folders.files import json_digest

T = TypeVar("T")

DIGEST_FIELD = "digest"


def with_digest(value: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """A record with a digest of its content, which `parse_record` verifies."""
    return {**value, DIGEST_FIELD: json_digest(value)}


def parse_record(
    kind: type[T], data: bytes, upgrade: Callable[[dict[str, JsonValue]], dict[str, JsonValue]] | None = None
) -> T:
    """Parse a record as a dataclass or as a list of dataclasses.

    Args:
        kind: a dataclass or model, or a list of them.
        data: JSON bytes, from `with_digest` or without a digest.
        upgrade: brings an object that an earlier version wrote to the fields of `kind`.

    Raises:
        ValueError: the data is not JSON, does not match its digest, or has a missing field or wrong type, which is named.
    """
    try:
        value = json.loads(data)
        seal = value.pop(DIGEST_FIELD, None) if isinstance(value, dict) else None
        if seal is not None and seal != json_digest(value):
            raise ValueError("its content does not match its digest")
        if seal is not None or upgrade is not None:
            data = json.dumps(upgrade(value) if upgrade is not None and isinstance(value, dict) else value).encode()
        return cast(T, _adapter(cast(Any, kind)).validate_json(data, strict=True))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}") from None


@lru_cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
