"""Model weights: found by name, path or URL, known by their sha256; and the list of those that may run code of their own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from storage.common.environment import variable
from storage.common.errors import InputError
from storage.folders.cache import RemoteFile, cached_copy
from storage.folders.files import sha256_of
from storage.folders.local import LocalFolder
from storage.folders.open import is_url

TRUSTED = "trusted.txt"
"""In the weights folder: a line a file, its sha256 and its name. Pickled weights that are not listed run no code."""


class WeightsError(InputError):
    """A weight file that is missing or is not the one that was asked for."""


@dataclass(frozen=True)
class Weights:
    """A weight file, or a folder of a model's files. Its sha256 is what shapes an output; its path is only where it lies.

    Attributes:
        path: of the file or folder; of a file with a URL, only its name until it is `local_weights`.
        sha256: of its bytes, or of all of a folder's.
        trusted: whether the user's list names it, so that it may run code of its own.
        url: where the file is fetched from by the machine that needs it; empty for one that is on disk.
    """

    path: Path
    sha256: str
    trusted: bool = False
    url: str = ""

    def check_unchanged(self) -> None:
        """Make sure that the file is still the one that was found.

        Raises:
            WeightsError: its bytes have changed.
        """
        if sha256_of(self.path) != self.sha256:
            raise WeightsError(f"{self.path} has changed since it was looked up: start again")


def find_weights(name: str, folder: Path | None = None) -> Weights:
    """Find a weight file or a folder of a model by path, or by name in `folder` or $STVG_WEIGHTS, and hash it.

    A file in an object store is named as `s3://bucket/x.pt#sha256=<hex>`: it is neither looked at nor fetched here.

    A folder's hash is over the relative names and contents of its files, in the order of the names, so that it is the
    same for a copy and for a download cache's folder of links. Hidden files and folders are left out: they are about
    how the files came here.

    Raises:
        WeightsError: no such file and no folder that holds a file; the message says where it was looked for. Or a URL
            without the sha256 of what it must hold.
    """
    if is_url(name):
        return _named_by_url(name)
    places = [Path(name)]
    below = folder or weights_folder()
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


def trust_weights(path: Path) -> Weights:
    """Put a weight file on the list of those that may run code of their own when they are loaded.

    Raises:
        WeightsError: there is no such file.
    """
    if not path.is_file():
        raise WeightsError(f"there is no weight file '{path}' to trust")
    weights = Weights(path.resolve(), _sha256_of(path), trusted=True)
    listed = weights_folder() / TRUSTED
    if weights.sha256 not in _trusted(weights_folder()):
        before = listed.read_text("utf-8") if listed.is_file() else ""
        LocalFolder(weights_folder()).write(TRUSTED, f"{before}{weights.sha256}  {' '.join(path.name.split())}\n".encode())
    return weights


def weights_folder() -> Path:
    """Where weights are looked for by name: $STVG_WEIGHTS, or `weights`."""
    return Path(variable("STVG_WEIGHTS"))


def _trusted(folder: Path) -> frozenset[str]:
    listed = folder / TRUSTED
    lines = listed.read_text("utf-8").splitlines() if listed.is_file() else []
    return frozenset(line.split()[0] for line in lines if line.strip())


def _named_by_url(name: str) -> Weights:
    url, _, sha256 = name.partition("#sha256=")
    if not url.startswith("s3://") or not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise WeightsError(f"'{name}' does not say what it must hold: name weights by URL as s3://bucket/x.pt#sha256=<hex>")
    return Weights(Path(url.rpartition("/")[2]), sha256.lower(), sha256.lower() in _trusted(weights_folder()), url)


@contextmanager
def local_weights(weights: Weights | None) -> Iterator[Weights | None]:
    """Weights on this machine's disk for the length of the block: as they are, or fetched into the cache and verified.

    Raises:
        WeightsError: there is no such object.
        StoreError: it cannot be read, or holds something else.
    """
    with ExitStack() as stack:
        if weights is not None and weights.url:
            try:
                weights = replace(weights, path=stack.enter_context(cached_copy(RemoteFile(weights.url), weights.sha256)))
            except FileNotFoundError:
                raise WeightsError(f"there are no weights at '{weights.url}'") from None
        yield weights


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
