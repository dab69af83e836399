"""Checks of installed packages against the requirements of the project, and of model weights by their known names."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from infra.doctor.findings import Finding
from rl.models.registry import WEIGHT_FOLDERS
from tasks.detection.base import OWN_WEIGHTS
from tasks.pretrained.models import MODELS, REMEDY, YOLOV3_TINY
from tasks.tracking.base import sam2_weights
from tasks.tracking.config import SAM2_MODELS
from tasks.weights import WeightsError, find_weights, weights_folder

_MAIN_PACKAGES = ("torch", "ray", "prefect", "sam2", "ultralytics", "transformers", "verl", "decord", "av", "pyarrow")
_HASHED_BYTES = 2_000_000_000
"""Larger files, and folders of models, are not hashed: that would take minutes."""


def packages() -> Iterator[Finding]:
    """Versions of the main packages, and every package that does not meet the requirements."""
    requirements = [Requirement(line) for line in requires("stvg") or ()]
    versions = {name: version for name in _MAIN_PACKAGES if (version := _version(name))}
    yield Finding("packages", "there", ", ".join(f"{name} {version}" for name, version in versions.items()))
    for requirement in requirements:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        installed = _version(requirement.name)
        if installed is None or not requirement.specifier.contains(installed, prereleases=True):
            summary = "not installed" if installed is None else f"{installed}, not {requirement.specifier}"
            yield Finding(requirement.name, "needed", summary, "make install")
    vllm = _version("vllm")
    remedy = "" if vllm else "for --engine vllm and training on GPUs: make install EXTRA=cluster"
    yield Finding("vLLM", "there" if vllm else "absent", vllm or "not installed", remedy)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def installed_models() -> Iterator[Finding]:
    """The trained models of `make install`: the default detector, its fallback, and person masks."""
    for model in MODELS.values():
        if model.is_installed():
            yield Finding(model.title, "there", f"{model.path}, sha256 {model.sha256[:12]}, {model.licence}")
        elif model is not YOLOV3_TINY:
            summary = "cut, or another model" if model.path.is_file() else "not installed"
            yield Finding(model.title, "absent", summary, REMEDY)


def weights() -> Iterator[Finding]:
    """Present weights with their place, hash and whether they may run code; and the names of the missing ones."""
    own = (name for name in OWN_WEIGHTS.values() if name not in MODELS)
    names = dict.fromkeys((*own, *map(sam2_weights, SAM2_MODELS), *WEIGHT_FOLDERS))
    present = [name for name in names if (weights_folder() / name).exists()]
    for name in present:
        yield Finding("weights", "there", _summary(weights_folder() / name))
    if missing := [name for name in names if name not in present]:
        remedy = f"put the ones that you need into {weights_folder()}, or set STVG_WEIGHTS"
        yield Finding("weights", "absent", f"{len(missing)} not here: {', '.join(missing)}", remedy)


def _summary(place: Path) -> str:
    if place.is_dir():
        return f"{place}, a folder"
    gigabytes = place.stat().st_size / 1e9
    if place.stat().st_size > _HASHED_BYTES:
        return f"{place}, {gigabytes:.1f} GB"
    try:
        weights = find_weights(str(place.resolve()))
    except (OSError, WeightsError):
        return f"{place}, which cannot be read"
    trusted = ", trusted to run code" if weights.trusted else ""
    return f"{place}, {gigabytes:.1f} GB, sha256 {weights.sha256[:12]}{trusted}"
