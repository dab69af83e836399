"""What a build was asked for: a small file in the dataset's folder, so that it can be taken up again by the folder alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from storage.folders.folder import Where
from storage.folders.open import folder_at, write_json
from storage.manifest import DatasetError
from storage.records import parse_record

BUILD_REQUEST = "build.json"


@dataclass(frozen=True)
class BuildRequest:
    """A build as it was asked for.

    Attributes:
        benchmark: its name.
        parameters: as given, JSON values. None of them is a secret: those come from the environment.
        stages: keys of the stages that follow from them, which are the folders it works in.
    """

    benchmark: str
    parameters: Mapping[str, Any]
    stages: Sequence[str] = ()


def write_build_request(where: Where, request: BuildRequest) -> None:
    """Keep what a build in a dataset's folder was asked for; the last one counts."""
    write_json(folder_at(where), BUILD_REQUEST, asdict(request))


def read_build_request(where: Where) -> BuildRequest:
    """What the last build in a dataset's folder was asked for.

    Raises:
        DatasetError: nothing was built there, or the file is damaged.
    """
    folder = folder_at(where)
    try:
        return parse_record(BuildRequest, folder.read(BUILD_REQUEST))
    except (FileNotFoundError, NotADirectoryError):
        raise DatasetError(
            f"'{folder}' does not say how it was built (no {BUILD_REQUEST}): run `stvg build` for it once"
        ) from None
    except ValueError as error:
        raise DatasetError(
            f"{folder}/{BUILD_REQUEST} is damaged ({error}): run `stvg build` for the dataset once more"
        ) from error
