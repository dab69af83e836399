"""What a build was asked for: a small file in the dataset's folder, so that it can be taken up again by the folder alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from storage.folders.folder import Where
from storage.folders.open import folder_at, write_json
from storage.manifest import DatasetError
from storage.records import parsed

REQUEST = "build.json"


@dataclass(frozen=True)
class Request:
    """A build as it was asked for.

    Attributes:
        benchmark: its name.
        parameters: as given, JSON values. None of them is a secret: those come from the environment.
        stages: keys of the stages that follow from them, which are the folders it works in.
    """

    benchmark: str
    parameters: Mapping[str, Any]
    stages: Sequence[str] = ()


def write_request(where: Where, request: Request) -> None:
    """Keep what a build in a dataset's folder was asked for; the last one counts."""
    write_json(folder_at(where), REQUEST, asdict(request))


def read_request(where: Where) -> Request:
    """What the last build in a dataset's folder was asked for.

    Raises:
        DatasetError: nothing was built there, or the file is damaged.
    """
    folder = folder_at(where)
    try:
        return parsed(Request, folder.read(REQUEST))
    except (FileNotFoundError, NotADirectoryError):
        raise DatasetError(f"'{folder}' does not say how it was built (no {REQUEST}): run `stvg build` for it once") from None
    except ValueError as error:
        raise DatasetError(f"{folder}/{REQUEST} is damaged ({error}): run `stvg build` for the dataset once more") from error
