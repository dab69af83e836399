"""Small files in the folder of a dataset that say how it was built: the request of its last build, and a record a stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from pydantic import JsonValue

from storage.commit import RecordError
from storage.folders.folder import Folder, FolderLike
from storage.folders.open import folder_at, write_json
from storage.manifest import DatasetError
from storage.records import parse_record
from storage.stages import STAGE

BUILD_REQUEST = "build.json"


@dataclass(frozen=True)
class BuildRequest:
    """Parameters of a build.

    Attributes:
        benchmark: name of the benchmark or import.
        parameters: JSON values as given by the user. None of them is a secret: secrets come from the environment.
        stages: keys of the resulting stages, which are their folder names.
    """

    benchmark: str
    parameters: Mapping[str, JsonValue]
    stages: Sequence[str] = ()


def write_build_request(where: FolderLike, request: BuildRequest) -> None:
    """Write the request of a build into the folder of its dataset, in place of an earlier one."""
    write_json(folder_at(where), BUILD_REQUEST, asdict(request))


def read_build_request(where: FolderLike) -> BuildRequest:
    """Request of the last build in the folder of a dataset.

    Raises:
        DatasetError: the folder has no build request, or the file is damaged.
    """
    folder = folder_at(where)
    try:
        return parse_record(BuildRequest, folder.read(BUILD_REQUEST))
    except (FileNotFoundError, NotADirectoryError):
        raise DatasetError(f"'{folder}' has no build request ({BUILD_REQUEST}): run `stvg build` for it once") from None
    except ValueError as error:
        raise DatasetError(
            f"{folder}/{BUILD_REQUEST} is damaged ({error}): run `stvg build` for the dataset once more"
        ) from error


@dataclass(frozen=True)
class StoredStage:
    """What the folder of a stage records of its specification, of this version or an earlier one."""

    name: str
    version: int
    params: Mapping[str, JsonValue]


def read_stage(dataset: Folder, key: str) -> StoredStage:
    """The record of a stage.

    Args:
        dataset: folder of the dataset.
        key: name of the folder of the stage.

    Raises:
        RecordError: the record is damaged.
    """
    try:
        return parse_record(StoredStage, dataset.read(f"{key}/{STAGE}"))
    except ValueError as error:
        raise RecordError(f"{dataset}/{key}/{STAGE} is not the record of a stage ({error}): build the dataset again") from error
