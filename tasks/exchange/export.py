"""Exports: a published dataset in another tool's layout, whole or not there at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from storage.common.names import one_of
from storage.folders.files import atomic_folder
from storage.progress import OnProgress, no_progress
from storage.reader import Dataset
from tasks.exchange import coco, fiftyone, huggingface, released, ytvis
from tasks.exchange.base import ExportOptions, FormatError, WriteDataset


class Export(NamedTuple):
    """A format that can be written: what it is, how, and which of `Options` it heeds."""

    about: str
    write: WriteDataset
    heeds: frozenset[str] = frozenset()


EXPORTS: Mapping[str, Export] = {
    "coco": Export("an image a frame, RLE masks, track IDs", coco.write, frozenset({"every", "media"})),
    "ytvis": Export("a list of masks an object, as YouTube-VIS", ytvis.write, frozenset({"every", "media"})),
    "hf": Export("a Hugging Face dataset with its frames, as `datasets` loads it", huggingface.write),
    "fiftyone": Export("FiftyOneVideoLabelsDataset: videos, objects, sentences", fiftyone.write, frozenset({"media"})),
    "released": Export("a JSON file a frame, as the released STVG-R1 code", released.write),
}
"""Formats by name."""


def export_dataset(
    dataset: Dataset,
    name: str,
    out: Path,
    options: ExportOptions = ExportOptions(),  # noqa: B008 - frozen
    on_progress: OnProgress = no_progress,
) -> dict[str, int]:
    """Write a dataset in a format, into a folder that appears when everything is in it.

    Args:
        dataset: a published dataset.
        name: format, a key of `EXPORTS`.
        out: target folder, absent or empty.
        options: frame stride and whether media are written.
        on_progress: called after each video.

    Returns:
        What was written, counted by kind.

    Raises:
        FormatError: there is no such format, it does not heed an option, or the folder is not empty.
        VideoError, TableError: what is to be exported cannot be read.
    """
    chosen = one_of(EXPORTS, name, "format", FormatError)
    for option in ("every", "media"):
        if option not in chosen.heeds and getattr(options, option) != getattr(ExportOptions(), option):
            raise FormatError(f"--{option} means nothing to '{name}': leave it out")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FormatError(f"'{out}' is there already and not an empty folder: name another one")
    with atomic_folder(out) as building:
        return dict(chosen.write(dataset, building, options, on_progress))
