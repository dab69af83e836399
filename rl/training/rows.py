"""Training rows in a folder that is named by a hash of all that shapes them: written atomically, and only once."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, JsonValue

from rl.models.families import Model
from rl.prompts.templates import prompts
from rl.training.row_schema import ROWS_VERSION
from rl.training.row_writer import write_row_files
from rl.training.selection import TRAINED, RowsError, RowSettings, Selection, Split, select_samples
from storage.folders.files import atomic_folder, file_lock, hash8, json_digest, sha256_of
from storage.folders.open import json_bytes
from storage.reader import Dataset
from storage.records import parse_record, with_digest

RECORD = "rows.json"
_PROCESSOR_FILES = ("tokenizer", "vocab", "merges", "added_tokens", "chat_template", "processor", "preprocessor", "video_pre")
"""Prefixes of the names of files that shape a prompt's tokens."""
_FORMER = {"longest": "longest_prompt_tokens", "refused": "exclusions", "bytes": "file_sizes"}
"""Field names in records that earlier versions wrote."""


class RowsRecord(BaseModel):
    """Record of a folder of rows.

    Attributes:
        dataset: name of the dataset.
        content_hash: of its manifest.
        settings: everything that shaped the rows, `RowSettings` included.
        counts: number of samples of each split, and of excluded ones by reason.
        longest_prompt_tokens: tokens of the longest prompt.
        exclusions: sample ID -> reason.
        file_sizes: file name -> size in bytes.
        rows_version: version of the schema.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    content_hash: str
    settings: dict[str, JsonValue]
    counts: dict[str, int]
    longest_prompt_tokens: int
    exclusions: dict[str, str]
    file_sizes: dict[str, int]
    rows_version: int = ROWS_VERSION


@dataclass(frozen=True)
class RowFolder:
    """Training rows in a folder, with their record."""

    path: Path
    record: RowsRecord

    def file(self, split: Split) -> Path:
        """The Parquet file of a split."""
        return self.path / f"{split}.parquet"


def write_rows(dataset: Dataset, model: Model, settings: RowSettings, root: Path) -> RowFolder:
    """Write training rows, or open those that exist for the same dataset, prompts, tokenizer and settings.

    Args:
        dataset: published.
        model: its tokenizer and processor count tokens; its weights do not matter.
        settings: protocol, limits and seed.
        root: parent of the folder of the rows.

    Raises:
        ProtocolError: the protocol cannot be trained by.
        RowsError: the model's family is not supported, too few samples are left, or the disk is full.
        BusyError: another process is writing the same rows.
    """
    shape = _shape(dataset, model, settings)
    folder = root / f"rows-{hash8(shape)}"
    if not (folder / RECORD).is_file():
        _write(folder, dataset, model, settings, shape)
    return open_rows(folder)


def open_rows(folder: Path) -> RowFolder:
    """Open training rows.

    Raises:
        RowsError: they do not exist, are incomplete, or have another version.
    """
    try:
        record = parse_record(RowsRecord, (folder / RECORD).read_bytes(), _upgrade)
        if record.rows_version != ROWS_VERSION:
            raise RowsError(f"{folder} has version {record.rows_version}; this code reads {ROWS_VERSION}: make the rows again")
        if any((folder / name).stat().st_size != size for name, size in record.file_sizes.items()):
            raise ValueError("a file has another size than was written")
    except (OSError, ValueError) as error:
        raise RowsError(f"'{folder}' holds no whole training rows ({error}): remove it and make them again") from error
    return RowFolder(folder, record)


def _upgrade(values: dict[str, JsonValue]) -> dict[str, JsonValue]:
    return {_FORMER.get(name, name): value for name, value in values.items()}


def data_section(train: Sequence[Path], val: Sequence[Path], max_prompt_tokens: int) -> dict[str, JsonValue]:
    """The section `data` of verl's configuration for training rows.

    Frames have the model's own size and are neither resized nor sampled again; prompts were counted when they were written.

    Args:
        train: files of training rows.
        val: files of validation rows.
        max_prompt_tokens: limit that the rows were written with.
    """
    return {
        "train_files": [str(path) for path in train],
        "val_files": [str(path) for path in val],
        "custom_cls": {"path": "pkg://rl.training.verl_dataset", "name": "RowDataset"},
        "mm_processor_kwargs": {"do_resize": False, "do_sample_frames": False},
        "max_prompt_length": max_prompt_tokens,
        "filter_overlong_prompts": False,
        "truncation": "error",
    }


def _shape(dataset: Dataset, model: Model, settings: RowSettings) -> dict[str, JsonValue]:
    """Everything that shapes the rows."""
    protocol = settings.training_protocol()
    names = sorted({protocol.prompts[task] for task in TRAINED & protocol.tasks})
    assert model.weights is not None
    files = [path for path in sorted(model.weights.path.iterdir()) if path.name.startswith(_PROCESSOR_FILES)]
    return {
        "version": ROWS_VERSION,
        "dataset": dataset.manifest.content_hash,
        "settings": settings.model_dump(),
        "prompts": {name: json_digest({**asdict(prompts()[name]), "order": list(prompts()[name].order)}) for name in names},
        "processor": {path.name: sha256_of(path) for path in files},
    }


def _write(folder: Path, dataset: Dataset, model: Model, settings: RowSettings, shape: Mapping[str, JsonValue]) -> None:
    selection = select_samples(dataset, model, settings)
    try:
        with file_lock(folder.with_name(f".{folder.name}.lock"), folder.name):
            for leftover in folder.parent.glob(f".{folder.name}.*.tmp"):
                shutil.rmtree(leftover)  # of a process that was killed
            with atomic_folder(folder) as temporary:
                selection = write_row_files(temporary, dataset, model, settings, selection)
                record = _record(temporary, dataset, shape, selection)
                (temporary / RECORD).write_bytes(json_bytes(with_digest(record.model_dump(mode="json"))))
    except OSError as error:
        if not (folder / RECORD).is_file():  # no other process has written them in the meantime either
            raise RowsError(f"training rows cannot be written to '{folder.parent}' ({error})") from error


def _record(folder: Path, dataset: Dataset, shape: Mapping[str, JsonValue], selection: Selection) -> RowsRecord:
    return RowsRecord(
        dataset=dataset.manifest.dataset,
        content_hash=dataset.manifest.content_hash,
        settings=dict(shape),
        counts=selection.counts(),
        longest_prompt_tokens=max(sample.prompt_tokens for sample in selection.samples()),
        exclusions=dict(selection.exclusions),
        file_sizes={path.name: path.stat().st_size for path in sorted(folder.glob("*.parquet"))},
    )
