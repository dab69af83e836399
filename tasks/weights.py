"""Model weights: found by name or path, known by their sha256."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path


class WeightsError(Exception):
    """A weight file that is missing or is not the one that was asked for."""


@dataclass(frozen=True)
class Weights:
    """A weight file. Its sha256 is what shapes an output; its path is only where it lies on this machine."""

    path: Path
    sha256: str


def find_weights(name: str, folder: Path | None = None) -> Weights:
    """Find a weight file by path, or by file name in `folder` or $STVG_WEIGHTS, and hash it.

    Raises:
        WeightsError: no such file; the message says where it was looked for.
    """
    places = [Path(name)]
    default = os.environ.get("STVG_WEIGHTS", "weights")
    if not Path(name).is_absolute():
        places.append((folder or Path(default)) / name)
    for place in places:
        if place.is_file():
            return Weights(place.resolve(), _sha256(place.resolve(), place.stat().st_mtime_ns))
    looked = " and ".join(str(place) for place in places)
    raise WeightsError(f"no weight file '{name}': looked for {looked}; put it there or set STVG_WEIGHTS to its folder")


@lru_cache(maxsize=64)
def _sha256(path: Path, _mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
