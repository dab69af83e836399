"""Model weights: found by name or path, known by their sha256; and the list of those that may run code of their own."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from storage.files import sha256_of
from storage.local import LocalFolder

TRUSTED = "trusted.txt"
"""In the weights folder: a line a file, its sha256 and its name. Pickled weights that are not listed run no code."""


class WeightsError(Exception):
    """A weight file that is missing or is not the one that was asked for."""


@dataclass(frozen=True)
class Weights:
    """A weight file, or a folder of a model's files. Its sha256 is what shapes an output; its path is only where it lies.

    Attributes:
        path: where it lies.
        sha256: of its bytes, or of all of a folder's.
        trusted: whether the user's list names it, so that it may run code of its own.
    """

    path: Path
    sha256: str
    trusted: bool = False

    def check_unchanged(self) -> None:
        """Make sure that the file is still the one that was found.

        Raises:
            WeightsError: its bytes have changed.
        """
        if sha256_of(self.path) != self.sha256:
            raise WeightsError(f"{self.path} has changed since it was looked up: start again")


def find_weights(name: str, folder: Path | None = None) -> Weights:
    """Find a weight file or a folder of a model by path, or by name in `folder` or $STVG_WEIGHTS, and hash it.

    A folder's hash is over the relative names and contents of its files, in the order of the names, so that it is the
    same for a copy and for a download cache's folder of links. Hidden files and folders are left out: they are about
    how the files came here.

    Raises:
        WeightsError: no such file and no folder that holds a file; the message says where it was looked for.
    """
    places = [Path(name)]
    below = folder or _folder()
    if not Path(name).is_absolute():
        places.append(below / name)
    for place in places:
        if place.is_file():
            sha256 = _sha256_of(place)
            return Weights(place.resolve(), sha256, sha256 in _trusted(below))
        if place.is_dir() and (files := list(_files(place, (place.resolve(),)))):
            return Weights(place.resolve(), _sha256_of_folder(place, files))
    looked = " and ".join(str(place) for place in places)
    raise WeightsError(f"no weight file '{name}': looked for {looked}; put it there or set STVG_WEIGHTS to its folder")


def trust(path: Path) -> Weights:
    """Put a weight file on the list of those that may run code of their own when they are loaded.

    Raises:
        WeightsError: there is no such file.
    """
    if not path.is_file():
        raise WeightsError(f"there is no weight file '{path}' to trust")
    found = Weights(path.resolve(), _sha256_of(path), trusted=True)
    listed = _folder() / TRUSTED
    if found.sha256 not in _trusted(_folder()):
        before = listed.read_text("utf-8") if listed.is_file() else ""
        LocalFolder(_folder()).write(TRUSTED, f"{before}{found.sha256}  {' '.join(path.name.split())}\n".encode())
    return found


def _folder() -> Path:
    return Path(os.environ.get("STVG_WEIGHTS", "weights"))


def _trusted(folder: Path) -> frozenset[str]:
    listed = folder / TRUSTED
    lines = listed.read_text("utf-8").splitlines() if listed.is_file() else []
    return frozenset(line.split()[0] for line in lines if line.strip())


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
