"""Model weights: found by name or path, known by their sha256."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from storage.files import sha256_of


class WeightsError(Exception):
    """A weight file that is missing or is not the one that was asked for."""


@dataclass(frozen=True)
class Weights:
    """A weight file, or a folder of a model's files. Its sha256 is what shapes an output; its path is only where it lies."""

    path: Path
    sha256: str


def find_weights(name: str, folder: Path | None = None) -> Weights:
    """Find a weight file or a folder of a model by path, or by name in `folder` or $STVG_WEIGHTS, and hash it.

    A folder's hash is over the relative names and contents of its files, in the order of the names, so that it is the
    same for a copy and for a download cache's folder of links. Hidden files and folders are left out: they are about
    how the files came here.

    Raises:
        WeightsError: no such file and no folder that holds a file; the message says where it was looked for.
    """
    places = [Path(name)]
    default = os.environ.get("STVG_WEIGHTS", "weights")
    if not Path(name).is_absolute():
        places.append((folder or Path(default)) / name)
    for place in places:
        if place.is_file():
            return Weights(place.resolve(), _sha256_of(place))
        if place.is_dir() and (files := list(_files(place, (place.resolve(),)))):
            return Weights(place.resolve(), _sha256_of_folder(place, files))
    looked = " and ".join(str(place) for place in places)
    raise WeightsError(f"no weight file '{name}': looked for {looked}; put it there or set STVG_WEIGHTS to its folder")


def _files(folder: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    """Files at any depth, through links; `above` are the folders on the way, so that a link back to one ends there."""
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_file():
            yield path
        elif path.is_dir() and (real := path.resolve()) not in above:
            yield from _files(path, (*above, real))


def _sha256_of_folder(folder: Path, files: Iterable[Path]) -> str:
    total = hashlib.sha256()
    for name, path in sorted((path.relative_to(folder).as_posix(), path) for path in files):
        total.update(f"{name} {_sha256_of(path)}\n".encode())
    return total.hexdigest()


def _sha256_of(path: Path) -> str:
    return _sha256(path.resolve(), path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _sha256(path: Path, _mtime_ns: int) -> str:
    return sha256_of(path)
