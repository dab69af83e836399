"""Packages against what the project asks for, and weights by the names under which they are looked for."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from infra.doctor.findings import Finding
from infra.forms.model_weights import DETECTORS, SAM2_MODELS, sam2_file
from rl.models.registry import WEIGHT_FOLDERS
from tasks.weights import WeightsError, find_weights, weights_folder

_SHOWN = ("torch", "ray", "prefect", "sam2", "ultralytics", "transformers", "verl", "decord", "av", "pyarrow")
_HASHED_BYTES = 2_000_000_000
"""Larger files, and folders of models, are not read through: that takes longer than anybody waits."""


def packages() -> Iterator[Finding]:
    """Versions of the packages that matter most, and every one that is not what the project asks for."""
    asked = [Requirement(line) for line in requires("stvg") or ()]
    base = [one for one in asked if one.marker is None or one.marker.evaluate({"extra": ""})]
    yield Finding("packages", "there", ", ".join(f"{name} {there}" for name in _SHOWN if (there := _version(name))))
    for one in base:
        there = _version(one.name)
        if there is None or not one.specifier.contains(there, prereleases=True):
            found = "not installed" if there is None else f"{there}, not {one.specifier}"
            yield Finding(one.name, "needed", found, "make install")
    vllm = _version("vllm")
    remedy = "" if vllm else "for --engine vllm and training on GPUs: make install EXTRA=cluster"
    yield Finding("vLLM", "there" if vllm else "absent", vllm or "not installed", remedy)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def weights() -> Iterator[Finding]:
    """Which weights are there, where, with their hash and whether they may run code; and the names of those that are not."""
    names = dict.fromkeys((*DETECTORS.values(), *map(sam2_file, SAM2_MODELS), *WEIGHT_FOLDERS))
    there = [name for name in names if (weights_folder() / name).exists()]
    for name in there:
        yield Finding("weights", "there", _told(weights_folder() / name))
    if missing := [name for name in names if name not in there]:
        remedy = f"put those that you want into {weights_folder()}, or set STVG_WEIGHTS"
        yield Finding("weights", "absent", f"{len(missing)} not here: {', '.join(missing)}", remedy)


def _told(place: Path) -> str:
    if place.is_dir():
        return f"{place}, a folder"
    gigabytes = place.stat().st_size / 1e9
    if place.stat().st_size > _HASHED_BYTES:
        return f"{place}, {gigabytes:.1f} GB"
    try:
        found = find_weights(str(place.resolve()))
    except (OSError, WeightsError):
        return f"{place}, which cannot be read"
    trusted = ", trusted to run code" if found.trusted else ""
    return f"{place}, {gigabytes:.1f} GB, sha256 {found.sha256[:12]}{trusted}"
