"""The commands that keep a dataset in order: `stvg requeue`, `stvg replay` and `stvg gc`; and `stvg trust`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.forms.build import BuildParameters
from infra.forms.imports import BUILDS
from storage.folders.open import is_url
from storage.manifest import DatasetError
from storage.specification import read_build_request


def asked_for(dataset: str, changes: Mapping[str, Any] | None = None) -> BuildParameters:
    """Parameters of the last build in a dataset's folder, with some of them changed.

    Raises:
        DatasetError: the folder does not say how it was built, or names a benchmark that is not known here.
        ValidationError: a change is no parameter, or out of bounds.
    """
    request = read_build_request(dataset)
    if request.benchmark not in BUILDS:
        raise DatasetError(f"'{dataset}' was built from '{request.benchmark}', which is no benchmark known here")
    place = dataset.rstrip("/") if is_url(dataset) else str(Path(dataset).resolve())
    root, _, name = place.rpartition("/")
    return BUILDS[request.benchmark](**{**request.parameters, **(changes or {}), "root": root or "/", "name": name})
