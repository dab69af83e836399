"""Export of a published dataset to another format, atomically."""

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
    """An export format: description, writer, and supported options."""

    description: str
    write: WriteDataset
    options: frozenset[str] = frozenset()


EXPORTS: Mapping[str, Export] = {
    "coco": Export("one image per frame, RLE masks, track IDs", coco.write, frozenset({"every", "media"})),
    "ytvis": Export("YouTube-VIS: a list of masks per object", ytvis.write, frozenset({"every", "media"})),
    "hf": Export("a Hugging Face dataset with frames, for `datasets`", huggingface.write),
    "fiftyone": Export("FiftyOneVideoLabelsDataset: videos, objects, sentences", fiftyone.write, frozenset({"media"})),
    "released": Export("the layout of the released STVG-R1 code: a JSON file per frame", released.write),
}
"""Name -> export format."""


def export_dataset(
    dataset: Dataset,
    name: str,
    out: Path,
    options: ExportOptions = ExportOptions(),  # noqa: B008 - frozen
    on_progress: OnProgress = no_progress,
) -> dict[str, int]:
    """Write a dataset in a format, into a folder that becomes visible when it is complete.

    Args:
        dataset: a published dataset.
        name: format, a key of `EXPORTS`.
        out: target folder, absent or empty.
        options: frame stride and whether media are written.
        on_progress: called after each video.

    Returns:
        Numbers of written items by kind.

    Raises:
        FormatError: there is no such format, it does not support an option, or the folder is not empty.
        VideoError, TableError: the dataset or its videos cannot be read.
    """
    chosen = one_of(EXPORTS, name, "format", FormatError)
    for option in ("every", "media"):
        if option not in chosen.options and getattr(options, option) != getattr(ExportOptions(), option):
            raise FormatError(f"'{name}' does not support --{option}: leave it out")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FormatError(f"'{out}' exists and is not an empty folder: name another one")
    with atomic_folder(out) as building:
        return dict(chosen.write(dataset, building, options, on_progress))
