"""Model weights: look-up by name, path or URL, identification by sha256, and the list of weights that may run code."""

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
from storage.common.site import site
from storage.folders.cache import RemoteFile, cached_copy
from storage.folders.files import sha256_of
from storage.folders.local import LocalFolder
from storage.folders.open import is_url
from tasks.pretrained.models import MODELS, REMEDY, PackagedModel

TRUSTED = "trusted.txt"
"""File in the weights folder with one trusted file per line, sha256 and name. Pickled weights that are not listed cannot run
code."""


RANDOM = "random"
"""Name of random weights, which try a model without its file."""


class WeightsError(InputError):
    """A weight file that is missing or is not the expected one."""


@dataclass(frozen=True)
class Weights:
    """A weight file or a model folder. The sha256 determines an output; the path is only a location.

    Attributes:
        path: path of the file or folder; for a file with a URL, its name until it is opened by `local_weights`.
        sha256: hash of the file, or of all files of the folder.
        trusted: whether the user's list contains the file, so that it may run code.
        url: URL from which a machine fetches the file; empty for a file on disk.
    """

    path: Path
    sha256: str
    trusted: bool = False
    url: str = ""

    def check_unchanged(self) -> None:
        """Check that the file has still the same content.

        Raises:
            WeightsError: the content has changed.
        """
        if sha256_of(self.path) != self.sha256:
            raise WeightsError(f"{self.path} has changed since it was looked up: start again")


def find_weights(name: str, folder: Path | None = None) -> Weights:
    """Find a weight file or model folder by path, or by name in `folder`, $STVG_WEIGHTS or the installed models, and hash it.

    A file in an object store is named as `s3://bucket/x.pt#sha256=<hex>`; it is neither read nor fetched here.

    The hash of a folder covers the relative names and contents of its files, in the order of the names, so that it is equal for
    a copy and for a folder of links in a download cache. Hidden files and folders are ignored, since they describe the
    download.

    Raises:
        WeightsError: there is no such file or folder, in which case the message lists the paths that were tried; or a URL has
            no sha256.
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
    if name in MODELS:
        return _installed(MODELS[name])
    looked = " and ".join(str(place) for place in places)
    raise WeightsError(f"no weight file '{name}': looked for {looked}; put it there or set STVG_WEIGHTS to its folder")


def _installed(model: PackagedModel) -> Weights:
    """Weights of a model that `make install` installs."""
    if not model.path.is_file():
        raise WeightsError(f"{model.title} is not installed: {REMEDY}")
    return Weights(model.path, _sha256_of(model.path))


def verify_installed(weights: Weights, model: PackagedModel) -> None:
    """Check that weights are those of a model that `make install` installs.

    Args:
        weights: the file.
        model: the expected model.

    Raises:
        WeightsError: the file is missing, or is not the expected one.
    """
    if not weights.path.is_file():
        raise WeightsError(f"the weights of {model.title} are no longer at {weights.path}: {REMEDY}")
    if weights.sha256 != model.sha256:
        raise WeightsError(f"{weights.path} is cut, or is another model than {model.title}: {REMEDY}")
    weights.check_unchanged()


def weights_named(name: str) -> Weights | None:
    """Weights by name, path or URL; None for an empty name and for `random`.

    Raises:
        WeightsError: they are missing.
    """
    return find_weights(name) if name and name != RANDOM else None


def trust_weights(path: Path) -> Weights:
    """Add a weight file to the list of those that may run code when they are loaded.

    Raises:
        WeightsError: the file does not exist.
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
    """Folder in which weights are looked up by name: $STVG_WEIGHTS, or that of the site file, or `weights`."""
    return Path(variable("STVG_WEIGHTS") or site().folder("weights"))


def _trusted(folder: Path) -> frozenset[str]:
    listed = folder / TRUSTED
    lines = listed.read_text("utf-8").splitlines() if listed.is_file() else []
    return frozenset(line.split()[0] for line in lines if line.strip())


def _named_by_url(name: str) -> Weights:
    url, _, sha256 = name.partition("#sha256=")
    if not url.startswith("s3://") or not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise WeightsError(f"'{name}' has no sha256: name weights by URL as s3://bucket/x.pt#sha256=<hex>")
    return Weights(Path(url.rpartition("/")[2]), sha256.lower(), sha256.lower() in _trusted(weights_folder()), url)


@contextmanager
def local_weights(weights: Weights | None) -> Iterator[Weights | None]:
    """Weights on the local disk for the duration of the block; weights with a URL are fetched into the cache and verified.

    Raises:
        WeightsError: the object does not exist.
        StoreError: the object cannot be read, or has other content.
    """
    with ExitStack() as stack:
        if weights is not None and weights.url:
            try:
                weights = replace(weights, path=stack.enter_context(cached_copy(RemoteFile(weights.url), weights.sha256)))
            except FileNotFoundError:
                raise WeightsError(f"there are no weights at '{weights.url}'") from None
        yield weights


def _files(folder: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    """Files at any depth, links followed; `above` are the folders on the path, to which links are ignored."""
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
