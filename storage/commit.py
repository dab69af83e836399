"""Bundles: the Parquet files of several tables and one JSON record, written last, that commits them.

A *part* is the bundle of one video, a *shard* the bundle of many. Both are read and written here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from storage.common.errors import InputError
from storage.folders.files import sha256_of
from storage.folders.folder import Folder
from storage.folders.open import write_json
from storage.outcomes import Outcome
from storage.records import parse_record, with_digest
from storage.schema import OPTIONAL_COLUMNS, TABLES, with_version


@dataclass(frozen=True)
class BundleEntry:
    """Record of one video in a bundle.

    Attributes:
        video_id: ID of the video.
        fingerprint: hash of the inputs of the stage for this video.
        outcome: outcome of the stage for this video.
        stat: [size in bytes, mtime in ns] of the source when it was read, for a quick comparison; empty if unknown.
    """

    video_id: str
    fingerprint: str
    outcome: Outcome
    stat: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class TableFile:
    """One Parquet file of a bundle; `videos` lists the video of each row group, in order."""

    path: str
    rows: int
    bytes: int
    sha256: str
    videos: list[str]


@dataclass(frozen=True)
class Bundle:
    """A committed bundle: entries by video and files by table."""

    name: str
    entries: list[BundleEntry]
    tables: dict[str, TableFile]

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """Video ID -> fingerprint of its inputs."""
        return {entry.video_id: entry.fingerprint for entry in self.entries}


class RecordError(InputError):
    """A damaged record; the message names the file and the remedy."""


class TableError(InputError):
    """A table file that is missing or differs from the committed one; the message names the file and the remedy."""


Rows = tuple[str, pa.Table]
"""A video ID and its rows of one table; they form one row group."""


def write_bundle(
    folder: Folder, name: str, entries: Iterable[BundleEntry], tables: Mapping[str, Iterable[Rows]], durable: bool = True
) -> Bundle:
    """Write the table files of a bundle, then its record.

    Args:
        folder: target folder.
        name: common stem of the files.
        entries: entry of each video, whatever its outcome.
        tables: table name -> rows by video, in ascending order of video ID.
        durable: whether each file is synced to disk before it is renamed.
    """
    files = {table: _write_table(folder, name, table, rows, durable) for table, rows in tables.items()}
    bundle = Bundle(name, list(entries), files)
    write_json(folder, f"{name}.json", with_digest(asdict(bundle)), durable)
    return bundle


def _write_table(folder: Folder, name: str, table: str, rows: Iterable[Rows], durable: bool) -> TableFile:
    file_name = f"{name}.{table}.parquet"
    schema = with_version(TABLES[table])
    videos, count = [], 0
    with (
        folder.writing(file_name, durable) as temporary,
        pq.ParquetWriter(temporary, schema, **_encoding_options(schema)) as writer,
    ):
        for video_id, group in rows:
            if group.num_rows:
                writer.write_table(group.cast(schema), row_group_size=group.num_rows)
                videos.append(video_id)
                count += group.num_rows
        writer.close()
        size, sha256 = temporary.stat().st_size, sha256_of(temporary)
    return TableFile(path=file_name, rows=count, bytes=size, sha256=sha256, videos=videos)


_CODES = "rle_counts"
"""Column of run-length codes: nine tenths of a mask database, and worth a slower compression than JPEGs and names."""


def _encoding_options(schema: pa.Schema) -> dict[str, Any]:
    """Dictionary encoding for names only and delta encoding for integers: half the size of the default, codes aside."""
    encodings = {field.name: "DELTA_BINARY_PACKED" for field in schema if pa.types.is_integer(field.type)}
    level: int | dict[str, int] = 9
    if _CODES in schema.names:
        encodings[_CODES] = "DELTA_LENGTH_BYTE_ARRAY"
        level = {name: 15 if name == _CODES else 9 for name in schema.names}
    return {
        "write_page_checksum": True,
        "compression": "zstd",
        "compression_level": level,
        "use_dictionary": [field.name for field in schema if pa.types.is_dictionary(field.type)],
        "column_encoding": encodings,
    }


def read_bundle(folder: Folder, record: str) -> Bundle:
    """Read the record of a bundle.

    Args:
        folder: folder of the dataset or stage.
        record: name of the JSON record.

    Raises:
        RecordError: the record is damaged.
    """
    try:
        return parse_record(Bundle, folder.read(record))
    except ValueError as error:
        raise RecordError(
            f"{folder}/{record} is not a bundle record ({error}): remove it, and its videos are processed again"
        ) from error


@contextmanager
def table_errors(path: str) -> Iterator[None]:
    """Convert errors of reading a table file to `TableError`.

    Raises:
        TableError: the file is missing or damaged.
    """
    try:
        yield
    except FileNotFoundError:
        raise TableError(f"the table {path} is missing: {_REMEDY}") from None
    except (pa.ArrowException, OSError, ValueError, IndexError) as error:
        raise TableError(f"the table {path} is damaged ({error}): {_REMEDY}") from error


_REMEDY = "remove the record of its shard, the JSON file of that name, and build again"


def validate_rows(rows: pa.Table) -> pa.Table:
    """Return rows after full validation, which detects values that a damaged page header hides."""
    rows.validate(full=True)
    return rows


def open_table(folder: Folder, file: TableFile, table: str) -> pq.ParquetFile:
    """Open a table file; page checksums are verified when pages are read.

    Args:
        folder: folder of the dataset or stage.
        file: path and videos of the table's file.
        table: name of the table.

    Raises:
        TableError: the file is missing or differs from the committed one.
    """
    with table_errors(f"{folder}/{file.path}"):
        parquet = folder.parquet(file.path)
        counts = parquet.metadata.num_rows, parquet.metadata.num_row_groups
        present = set(parquet.schema_arrow.names)
        missing = [name for name in OPTIONAL_COLUMNS.get(table, ()) if name not in present]
        expected = pa.schema([column for column in TABLES[table] if column.name not in missing])
        if counts != (file.rows, len(file.videos)) or not parquet.schema_arrow.equals(expected):
            raise ValueError("its footer differs from the record")
    return parquet


def read_group(parquet: pq.ParquetFile, group: int, table: str, columns: list[str] | None = None) -> pa.Table:
    """Read a row group; optional columns that the file lacks are null.

    Args:
        parquet: a table file as `open_table` returns it.
        group: 0-based number of the row group.
        table: name of the table.
        columns: names of the columns to read; all by default.
    """
    missing = [name for name in OPTIONAL_COLUMNS.get(table, ()) if name not in parquet.schema_arrow.names]
    if not missing:
        return validate_rows(parquet.read_row_group(group, columns=columns, use_threads=False))
    names = TABLES[table].names if columns is None else columns
    read = [name for name in names if name not in missing]
    rows = validate_rows(parquet.read_row_group(group, columns=read, use_threads=False))
    for name in names:
        if name in missing:
            rows = rows.append_column(TABLES[table].field(name), pa.nulls(rows.num_rows, TABLES[table].field(name).type))
    return rows


def read_rows(folder: Folder, bundle: Bundle, table: str, videos: Iterable[str] | None = None) -> Iterator[Rows]:
    """Yield the rows of one table of a bundle, video by video.

    Args:
        folder: folder of the dataset or stage.
        bundle: record that names the files.
        table: name of the table.
        videos: IDs of the videos to read; all by default.

    Raises:
        TableError: the table file is missing or damaged.
    """
    file = bundle.tables[table]
    selected = None if videos is None else set(videos)
    with open_table(folder, file, table) as parquet:
        for group, video_id in enumerate(file.videos):
            if selected is None or video_id in selected:
                with table_errors(f"{folder}/{file.path}"):
                    rows = read_group(parquet, group, table)
                yield video_id, rows
