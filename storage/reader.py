"""Reader of a published dataset: masks, boxes and rendered frames by video, frame and object."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from storage.commit import TableFile, open_table, read_group, table_errors, validate_rows
from storage.folders.cache import RemoteFile, find_remote
from storage.folders.folder import Folder, FolderLike
from storage.folders.open import folder_at, is_url
from storage.manifest import DatasetError, Manifest, PublishedStage, load_manifest
from storage.rle import Mask, decode_counts
from storage.schema import OUTCOMES, TABLES

_MASK_COLUMNS = ["frame_index", "object_id", "category", "x1", "y1", "x2", "y2", "area", "anchor_x", "anchor_y", "rle_counts"]
_STAGE_OF = {"videos": "masks", "masks": "masks", "clips": "frames", "frames": "frames", "samples": "frames"}


def stage_of(table: str) -> str:
    """Name of the stage that writes a table."""
    return _STAGE_OF[table]


MAX_OPEN_FILES = 12
"""Maximum number of open files, least recently used closed first: a footer of hundreds of row groups takes about 5 MB."""


class StoredInstance(NamedTuple):
    """One stored object on one frame; the box is in pixels, half-open, the anchor in pixels."""

    object_id: int
    category: str
    box: tuple[int, int, int, int]
    area: int
    anchor: tuple[int, int]
    counts: bytes


class Dataset:
    """A published dataset, opened by its folder; files are opened on first use and their footers cached."""

    def __init__(self, where: FolderLike) -> None:
        """Open a dataset by the path or `s3://` URL of its folder.

        Raises:
            DatasetError: nothing is published there, or a version that is not supported.
        """
        self.folder: Folder = folder_at(where)
        self.manifest: Manifest = load_manifest(self.folder)
        self._files: OrderedDict[tuple[str, str], pq.ParquetFile] = OrderedDict()
        self._groups: dict[tuple[str, int], dict[str, int]] = {}

    def stage(self, table: str) -> PublishedStage:
        """Stage that holds the rows of a table.

        Raises:
            DatasetError: the stage is not published.
        """
        name = stage_of(table)
        if name not in self.manifest.stages:
            raise DatasetError(f"dataset '{self.manifest.dataset}' holds no {name}: build it again")
        return self.manifest.stages[name]

    def video_ids(self, table: str = "videos") -> list[str]:
        """IDs of the videos with rows in a table, sorted."""
        stage = self.stage(table)
        videos = [set(shard[table].videos) if table in shard else set() for shard in stage.shards]
        return sorted(video_id for video_id, shard in stage.videos.items() if video_id in videos[shard])

    def rows(self, table: str, video_id: str, columns: list[str] | None = None) -> pa.Table:
        """All rows of one video in a table; empty if it has none.

        Args:
            table: name of the table.
            video_id: ID of the video, its path below the videos folder.
            columns: names of the columns to read; all by default.

        Raises:
            DatasetError: the dataset has no such video.
            TableError: the table file is missing or damaged.
        """
        place = self._place(table, video_id)
        if place is None:
            empty = TABLES[table].empty_table()
            return empty if columns is None else empty.select(columns)
        file, group, path = place
        with table_errors(path):
            return read_group(file, group, table, columns)

    def table(self, table: str, columns: list[str] | None = None) -> pa.Table:
        """All rows of a table in video order. The tables `masks` and `frames` are large: prefer `rows` for them.

        Args:
            table: name of the table.
            columns: names of the columns to read; all by default.
        """
        empty = TABLES[table].empty_table()
        groups = [self.rows(table, video_id, columns) for video_id in self.video_ids(table)]
        return pa.concat_tables([empty if columns is None else empty.select(columns), *groups]).unify_dictionaries()

    @cached_property
    def outcomes(self) -> pa.Table:
        """Table with the outcome of each planned video."""
        # Not pq.read_table, which imports pandas: that alone takes a second.
        name = self.manifest.outcomes
        with table_errors(f"{self.folder}/{name}"), self.folder.parquet(name) as file:
            if not file.schema_arrow.equals(OUTCOMES):
                raise ValueError("its footer differs from the schema")
            return validate_rows(file.read())

    def source(self, video_id: str) -> Path | RemoteFile:
        """Location of the file or folder of a video when it was tracked."""
        path: str = self.rows("videos", video_id, ["path"]).column(0)[0].as_py()
        return find_remote(path) if is_url(path) else Path(str(self.folder)) / path

    def instances(self, video_id: str, frame_index: int) -> list[StoredInstance]:
        """Objects visible on a native frame, by ID; takes at most 1 ms for a video with hundreds of rows.

        Args:
            video_id: ID of the video, its path below the videos folder.
            frame_index: 0-based native frame index.
        """
        rows = self.rows("masks", video_id, _MASK_COLUMNS)
        if rows.num_rows == 0:
            return []
        frames = rows.column("frame_index").to_numpy()
        first, last = np.searchsorted(frames, [frame_index, frame_index + 1])
        return [
            StoredInstance(
                object_id=r["object_id"],
                category=r["category"],
                box=(r["x1"], r["y1"], r["x2"], r["y2"]),
                area=r["area"],
                anchor=(r["anchor_x"], r["anchor_y"]),
                counts=r["rle_counts"],
            )
            for r in rows.slice(first, last - first).to_pylist()
        ]

    def masks(self, video_id: str, frame_index: int) -> dict[int, Mask]:
        """Masks on a native frame: object ID -> bool (height, width).

        Args:
            video_id: ID of the video, its path below the videos folder.
            frame_index: 0-based native frame index.
        """
        video = self.rows("videos", video_id, ["height", "width"]).to_pylist()[0]
        instances = self.instances(video_id, frame_index)
        return {i.object_id: decode_counts(i.counts, video["height"], video["width"]) for i in instances}

    def boxes(self, video_id: str, frame_index: int) -> dict[int, tuple[int, int, int, int]]:
        """Tight boxes on a native frame: object ID -> (x1, y1, x2, y2), half-open.

        Args:
            video_id: ID of the video, its path below the videos folder.
            frame_index: 0-based native frame index.
        """
        return {instance.object_id: instance.box for instance in self.instances(video_id, frame_index)}

    def tube(self, video_id: str, object_id: int) -> Iterator[tuple[int, tuple[int, int, int, int]]]:
        """(frame index, box) of one object over the video, ascending.

        Args:
            video_id: ID of the video, its path below the videos folder.
            object_id: ID of the object, from 1.
        """
        rows = self.rows("masks", video_id, ["object_id", "frame_index", "x1", "y1", "x2", "y2"])
        for row in rows.to_pylist():
            if row["object_id"] == object_id:
                yield row["frame_index"], (row["x1"], row["y1"], row["x2"], row["y2"])

    def frames(self, video_id: str, clip_id: str, columns: list[str] | None = None) -> pa.Table:
        """Rendered frames of a clip in order, with their markers and JPEG bytes.

        Args:
            video_id: ID of the video, its path below the videos folder.
            clip_id: ID of the clip within its video.
            columns: names of the columns to read, `clip_id` among them; all by default.
        """
        rows = self.rows("frames", video_id, columns)
        return rows.filter(pc.equal(rows.column("clip_id").cast(pa.string()), clip_id))

    def _place(self, table: str, video_id: str) -> tuple[pq.ParquetFile, int, str] | None:
        stage = self.stage(table)
        shard = stage.videos.get(video_id)
        if shard is None:
            raise DatasetError(f"dataset '{self.manifest.dataset}' holds no finished video '{video_id}'")
        file = stage.shards[shard].get(table)
        if file is None:
            return None
        groups = self._groups.setdefault((table, shard), {})
        if not groups:
            groups.update({name: group for group, name in enumerate(file.videos)})
        group = groups.get(video_id)
        return None if group is None else (self._open(stage.key, file, table), group, f"{self.folder}/{stage.key}/{file.path}")

    def footer(self, table: str, shard: int) -> pq.FileMetaData:
        """Parquet footer of the file of a table in a shard.

        Args:
            table: name of the table.
            shard: 0-based number of the shard.
        """
        stage = self.stage(table)
        return self._open(stage.key, stage.shards[shard][table], table).metadata

    def _open(self, key: str, file: TableFile, table: str) -> pq.ParquetFile:
        place = key, file.path
        if place not in self._files:
            self._files[place] = open_table(self.folder.child(key), file, table)
            while len(self._files) > MAX_OPEN_FILES:
                self._files.popitem(last=False)
        self._files.move_to_end(place)
        return self._files[place]

    def damaged_files(self) -> list[str]:
        """Table files that are missing or differ from the committed ones; reads all files."""
        files = [(stage.key, f) for stage in self.manifest.stages.values() for shard in stage.shards for f in shard.values()]
        return [f"{key}/{file.path}" for key, file in files if not _is_as_committed(self.folder.child(key), file)]


def _is_as_committed(folder: Folder, file: TableFile) -> bool:
    try:
        return hashlib.sha256(folder.read(file.path)).hexdigest() == file.sha256
    except OSError:
        return False
