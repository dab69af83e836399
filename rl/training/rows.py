"""Training rows in a folder named by all that shapes them: written whole or not at all, and never twice."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rl.models.families import Model
from rl.prompts.templates import prompts
from rl.training.make import ROWS_VERSION, write_files
from rl.training.plan import TRAINED, Plan, RowsError, RowSettings, Split, plan_rows
from storage.folders.files import digest, exclusive, hash8, replacing_folder, sha256_of
from storage.folders.open import json_bytes
from storage.reader import Dataset
from storage.records import parsed, sealed

RECORD = "rows.json"
_OF_PROCESSOR = ("tokenizer", "vocab", "merges", "added_tokens", "chat_template", "processor", "preprocessor", "video_pre")
"""How the names of the files begin that shape a prompt's tokens."""


@dataclass(frozen=True)
class Record:
    """What a folder of rows says of itself.

    Attributes:
        dataset, content_hash: what the rows were made of.
        settings: that shaped them, `plan.RowSettings` and the rest.
        counts: samples of each split, and refused ones by reason.
        longest: tokens of the longest prompt.
        refused: sample -> why it is left out.
        bytes: size of each file.
    """

    dataset: str
    content_hash: str
    settings: dict[str, Any]
    counts: dict[str, int]
    longest: int
    refused: dict[str, str]
    bytes: dict[str, int]
    rows_version: int = ROWS_VERSION


@dataclass(frozen=True)
class Rows:
    """Training rows in a folder; `record` says what they are."""

    folder: Path
    record: Record

    def file(self, split: Split) -> Path:
        """The Parquet file of a split."""
        return self.folder / f"{split}.parquet"


def write_rows(dataset: Dataset, model: Model, settings: RowSettings, root: Path) -> Rows:
    """Make training rows, or find those that were made before of the same dataset with the same settings.

    Args:
        dataset: published.
        model: whose tokenizer and processor count the tokens of a prompt; its weights do not matter.
        settings: what shapes the rows.
        root: below which they lie, in a folder of their own, whole or not at all.

    Raises:
        ProtocolError: one cannot train by the protocol.
        RowsError: the model is of a family that is not trained, too little is left to train on, or the disk is full.
        BusyError: another process is making the same rows.
    """
    shaped = _shaped_by(dataset, model, settings)
    folder = root / f"rows-{hash8(shaped)}"
    if not (folder / RECORD).is_file():
        _make(folder, dataset, model, settings, shaped)
    return open_rows(folder)


def open_rows(folder: Path) -> Rows:
    """Open training rows.

    Raises:
        RowsError: they are not there, not whole, or of another version.
    """
    try:
        record = parsed(Record, (folder / RECORD).read_bytes())
        if record.rows_version != ROWS_VERSION:
            raise RowsError(f"{folder} has version {record.rows_version}; this code reads {ROWS_VERSION}: make the rows again")
        if any((folder / name).stat().st_size != size for name, size in record.bytes.items()):
            raise ValueError("a file has another size than was written")
    except (OSError, ValueError) as error:
        raise RowsError(f"'{folder}' holds no whole training rows ({error}): remove it and make them again") from error
    return Rows(folder, record)


def verl_data(train: Sequence[Path], val: Sequence[Path], max_prompt_tokens: int) -> dict[str, Any]:
    """What belongs to these rows in the section `data` of verl's configuration.

    Frames have the model's own size and are neither resized nor sampled again; prompts were counted when they were made.
    """
    return {
        "train_files": [str(path) for path in train],
        "val_files": [str(path) for path in val],
        "custom_cls": {"path": "pkg://rl.training.verl_dataset", "name": "TrainingRows"},
        "mm_processor_kwargs": {"do_resize": False, "do_sample_frames": False},
        "max_prompt_length": max_prompt_tokens,
        "filter_overlong_prompts": False,
        "truncation": "error",
    }


def _shaped_by(dataset: Dataset, model: Model, settings: RowSettings) -> dict[str, Any]:
    protocol = settings.asked_by()
    names = sorted({protocol.prompts[task] for task in TRAINED & protocol.tasks})
    assert model.weights is not None
    files = [path for path in sorted(model.weights.path.iterdir()) if path.name.startswith(_OF_PROCESSOR)]
    return {
        "version": ROWS_VERSION,
        "dataset": dataset.manifest.content_hash,
        "settings": asdict(settings),
        "prompts": {name: digest({**asdict(prompts()[name]), "order": list(prompts()[name].order)}) for name in names},
        "processor": {path.name: sha256_of(path) for path in files},
    }


def _make(folder: Path, dataset: Dataset, model: Model, settings: RowSettings, shaped: Mapping[str, Any]) -> None:
    plan = plan_rows(dataset, model, settings)
    try:
        with exclusive(folder.with_name(f".{folder.name}.lock"), folder.name):
            for left in folder.parent.glob(f".{folder.name}.*.tmp"):
                shutil.rmtree(left)  # of a process that was killed
            with replacing_folder(folder) as temporary:
                plan = write_files(temporary, dataset, model, settings, plan)
                record = _record(temporary, dataset, shaped, plan)
                (temporary / RECORD).write_bytes(json_bytes(sealed(asdict(record))))
    except OSError as error:
        if not (folder / RECORD).is_file():  # nor has another process made them meanwhile
            raise RowsError(f"training rows cannot be written to '{folder.parent}' ({error})") from error


def _record(folder: Path, dataset: Dataset, shaped: Mapping[str, Any], plan: Plan) -> Record:
    return Record(
        dataset=dataset.manifest.dataset,
        content_hash=dataset.manifest.content_hash,
        settings=dict(shaped),
        counts=plan.counts(),
        longest=max(planned.tokens for planned in plan.kept()),
        refused=dict(plan.refused),
        bytes={path.name: path.stat().st_size for path in sorted(folder.glob("*.parquet"))},
    )
