"""Folders of trainings as models: where the model lies, and the record that is written when the training has ended."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from rl.models.families import ModelError
from storage.records import parse_record

RUN, MODEL, LINEAGE = "run.json", "model", "checkpoint.json"
"""In a training's folder: its request, the folder of its model, and the record of where the model is from."""


class ModelRecord(BaseModel):
    """The part of a training's record that identifies its model.

    Attributes:
        sha256: hash of the model's files.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    sha256: str


def read_model_record(folder: Path) -> ModelRecord | None:
    """Read the record of a training's model; None while the training has not ended.

    Raises:
        ModelError: the file is damaged.
    """
    try:
        return parse_record(ModelRecord, (folder / LINEAGE).read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ModelError(f"{folder}/{LINEAGE} is damaged ({error}): train anew") from error


def trained_model(folder: Path) -> Path:
    """The folder of a training's model.

    Raises:
        ModelError: the training has not ended, or its record is damaged.
    """
    if read_model_record(folder) is None:
        raise ModelError(f"the training in '{folder}' has not ended: run it to its end, then name it")
    return folder / MODEL
