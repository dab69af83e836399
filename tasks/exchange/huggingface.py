"""Hugging Face export: the tables as Parquet files with features for `datasets`, and a dataset card.

    README.md                       one configuration per table, with `frames` as the default
    <table>/train-<number>.parquet  frames as images, with the markers drawn on them

`datasets.load_dataset(FOLDER, "frames", split="train")` loads it offline, and likewise from the Hub.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from storage.card import TABLE_DESCRIPTIONS
from storage.progress import OnProgress, Progress
from storage.reader import Dataset
from storage.schema import TABLES
from tasks.exchange.base import ExportOptions

_TABLES = ("frames", "samples", "clips", "videos", "masks")
_LEFT_OUT = {"path"}
"""Columns that are not exported: paths on the machine that built the dataset."""
_FILE_BYTES = 500_000_000
_GROUP_ROWS = 100
"""Rows per row group, which limits the memory of readers, since images are large."""


def write(dataset: Dataset, out: Path, options: ExportOptions, on_progress: OnProgress) -> dict[str, int]:
    """Write every table, video by video; see `tasks.exchange.base.WriteDataset`.

    Args:
        dataset: a published dataset.
        out: an existing, empty folder.
        options: frame stride and whether media are written.
        on_progress: called after each video.
    """
    assert options == ExportOptions(), "the format has no options"
    features = {table: _features(table) for table in _TABLES}
    total, counts = sum(len(dataset.video_ids(table)) for table in _TABLES), dict.fromkeys(_TABLES, 0)
    done = 0
    for table in _TABLES:
        for rows in _write_table(dataset, table, features[table].arrow_schema, out / table):
            counts[table] += rows
            done += 1
            on_progress(Progress("export", done, total))
    (out / "README.md").write_text(_card(dataset.manifest.dataset, features), "utf-8")
    return counts


def _features(table: str) -> Any:
    """Features of the columns of a table, in order."""
    from datasets import Features, Image

    columns = {f.name: f.type for f in TABLES[table] if f.name not in _LEFT_OUT}
    plain = {name: kind.value_type if pa.types.is_dictionary(kind) else kind for name, kind in columns.items()}
    features = Features.from_arrow_schema(pa.schema(list(plain.items())))
    return Features({("image" if name == "jpeg" else name): Image() if name == "jpeg" else features[name] for name in plain})


def _write_table(dataset: Dataset, table: str, schema: pa.Schema, folder: Path) -> Iterator[int]:
    """Write the files of a table, at least one; yields the number of rows of each video."""
    with _Files(folder, schema) as files:
        for video_id in dataset.video_ids(table):
            rows = dataset.rows(table, video_id)
            files.add(_converted(rows, schema))
            yield rows.num_rows


def _converted(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = {name: rows.column(name) for name in rows.column_names if name not in _LEFT_OUT}
    if "jpeg" in columns:
        bytes_of = columns.pop("jpeg").combine_chunks()
        columns["image"] = pa.StructArray.from_arrays([bytes_of, pa.nulls(len(bytes_of), pa.string())], ["bytes", "path"])
    return pa.table([columns[name] for name in schema.names], schema.names).cast(schema)


class _Files:
    """Parquet files of one table, as a context manager; a new file is started when the current one is large enough."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        folder.mkdir()
        self._folder, self._schema = folder, schema
        self._number = self._bytes = 0
        self._writer = self._next()

    def __enter__(self) -> _Files:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._writer.close()

    def add(self, rows: pa.Table) -> None:
        """Append rows."""
        if self._bytes >= _FILE_BYTES:
            self._writer.close()
            self._writer, self._bytes = self._next(), 0
        self._writer.write_table(rows, row_group_size=_GROUP_ROWS)
        self._bytes += rows.nbytes

    def _next(self) -> Any:
        self._number += 1
        return pq.ParquetWriter(self._folder / f"train-{self._number - 1:05d}.parquet", self._schema, compression="zstd")


def _card(name: str, features: Mapping[str, Any]) -> str:
    """Dataset card: configurations and features as metadata, and a description."""
    from datasets import DatasetInfo
    from datasets.info import DatasetInfosDict
    from huggingface_hub import DatasetCardData

    files = [
        {"config_name": table, "data_files": [{"split": "train", "path": f"{table}/*.parquet"}], "default": table == "frames"}
        for table in features
    ]
    data = DatasetCardData(pretty_name=name, tags=["video", "object-tracking", "spatio-temporal-grounding"], configs=files)
    DatasetInfosDict({t: DatasetInfo(config_name=t, features=f) for t, f in features.items()}).to_dataset_card_data(data)
    lines = ["---", str(data), "---", "", f"# {name}", "", _ABOUT, "", "| configuration | content |", "|---|---|"]
    return "\n".join([*lines, *(f"| `{table}` | {TABLE_DESCRIPTIONS[table]} |" for table in features)]) + "\n"


_ABOUT = """An object-centric video dataset: every object has one persistent ID, a mask on each frame where it is visible, and
its number on the rendered frames. `rle_counts` are COCO's compressed run-length codes; their size is that of the video.
Frame indices are native, from 0; frame ranges are closed. Boxes are pixels, x1, y1, x2, y2, half-open."""
