"""Types and helpers of dataset formats: options, videos with masks, and checked names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, TypedDict

from pydantic import JsonValue

from storage.common.errors import InputError
from storage.common.names import is_contained_path
from storage.progress import OnProgress, Progress
from storage.reader import Dataset
from storage.rows import MaskRow, VideoRow
from tasks.masks.instances import Instance
from tasks.metrics.arrays import source_of
from tasks.video.reader import local_source, open_video


class FormatError(InputError):
    """An export that is not possible; the message states the reason and the remedy."""


@dataclass(frozen=True)
class ExportOptions:
    """Options of an export.

    Attributes:
        every: frame stride: frames 0, `every`, 2 `every` and so on are exported.
        media: whether frames as JPEG, or videos, are exported too.
    """

    every: int = 1
    media: bool = False


WriteDataset = Callable[[Dataset, Path, ExportOptions, OnProgress], Mapping[str, int]]
"""Writes a dataset into an empty folder and returns the numbers of written items by kind; one video is in memory at a time.

Raises `FormatError` if the format cannot represent the dataset."""


@dataclass(frozen=True)
class VideoMasks:
    """A video of a dataset with all its masks.

    Attributes:
        width, height: pixels.
        frame_count: number of native frames.
        tracked: tracked frames, ascending.
        categories: object ID -> category.
        frames: native frame -> object ID -> instance, for frames with objects.
    """

    video_id: str
    width: int
    height: int
    frame_count: int
    tracked: Sequence[int]
    categories: Mapping[int, str]
    frames: Mapping[int, Mapping[int, Instance]]


_COLUMNS = ["frame_index", "object_id", "x1", "y1", "x2", "y2", "area", "anchor_x", "anchor_y", "rle_counts"]


def read_videos(dataset: Dataset, on_progress: OnProgress) -> Iterator[VideoMasks]:
    """Every video of a dataset in order of ID, one at a time; progress is reported when the next one is requested.

    Args:
        dataset: a published dataset.
        on_progress: called after each video.

    Raises:
        FormatError: a video ID is not a relative path.
        TableError: a table's file is missing or damaged.
    """
    video_ids = dataset.video_ids()
    for done, video_id in enumerate(video_ids, start=1):
        columns = ["width", "height", "frame_count", "tracked", "objects"]
        row: VideoRow = dataset.rows("videos", video_id, columns).to_pylist()[0]
        tracked = [f for s in row["tracked"] for f in range(s["start_frame"], s["end_frame"] + 1)]
        categories = {o["object_id"]: o["category"] for o in row["objects"]}
        frames = _frames(dataset.rows("masks", video_id, _COLUMNS).to_pylist())
        yield VideoMasks(
            video_id=check_video_id(video_id),
            width=row["width"],
            height=row["height"],
            frame_count=row["frame_count"],
            tracked=tracked,
            categories=categories,
            frames=frames,
        )
        on_progress(Progress("export", done, len(video_ids)))


def _frames(rows: Sequence[MaskRow]) -> dict[int, dict[int, Instance]]:
    return {
        frame: {
            r["object_id"]: Instance(
                r["rle_counts"], (r["x1"], r["y1"], r["x2"], r["y2"]), r["area"], (r["anchor_x"], r["anchor_y"])
            )
            for r in seen
        }
        for frame, seen in groupby(rows, itemgetter("frame_index"))
    }


def check_video_id(video_id: str) -> str:
    """Return a video ID that is used in a path, if it is a relative path without '..'.

    Raises:
        FormatError: the path would leave its folder.
    """
    if not is_contained_path(video_id):
        raise FormatError(f"the dataset names a video {video_id!r}, which is not a path below a folder: it cannot be exported")
    return video_id


def categories_of(dataset: Dataset) -> dict[str, int]:
    """Category -> number, from 1 in order of name."""
    objects = (dataset.rows("videos", video_id, ["objects"]).column(0)[0].as_py() for video_id in dataset.video_ids())
    categories = {each["category"] for one in objects for each in one}
    return {name: number for number, name in enumerate(sorted(categories), start=1)}


def coco_header(dataset: Dataset, numbers: Mapping[str, int]) -> dict[str, JsonValue]:
    """First entries of COCO files: description of the dataset, and categories.

    Args:
        dataset: a published dataset.
        numbers: category -> number, from 1.
    """
    categories: list[JsonValue] = [{"id": number, "name": name} for name, number in numbers.items()]
    return {
        "info": {"description": dataset.manifest.dataset, "version": dataset.manifest.content_hash},
        "categories": categories,
    }


class CocoRle(TypedDict):
    """Compressed run-length code of a mask as COCO writes it in JSON; `size` is [height, width]."""

    size: list[int]
    counts: str


def coco_rle(instance: Instance, video: VideoMasks) -> CocoRle:
    """Mask as COCO compressed run-length code in JSON.

    Args:
        instance: instance of the video.
        video: video of the instance, for the size of the mask.
    """
    return {"size": [video.height, video.width], "counts": instance.counts.decode("ascii")}


def xywh(instance: Instance) -> list[int]:
    """Tight box in COCO's form: x, y, width, height in pixels."""
    x1, y1, x2, y2 = instance.box
    return [x1, y1, x2 - x1, y2 - y1]


def frame_name(video_id: str, frame: int) -> str:
    """Path of the JPEG of a native frame, below the folder of images.

    Args:
        video_id: ID of the video, its path below the videos folder.
        frame: 0-based native frame index.
    """
    return f"{video_id}/{frame:06d}.jpg"


_WINDOW = 16


def write_images(dataset: Dataset, video_id: str, frames: Sequence[int], folder: Path) -> None:
    """Write native frames of a video as JPEG files with names from `frame_name`.

    Args:
        dataset: a published dataset.
        video_id: ID of the video, its path below the videos folder.
        frames: native frame indices, ascending.
        folder: folder of images.

    Raises:
        VideoError: the source cannot be read.
    """
    from tasks.video.jpeg import encode_jpeg

    with local_source(source_of(dataset, video_id)) as source:
        video = open_video(source)
        for start in range(0, len(frames), _WINDOW):
            indices = frames[start : start + _WINDOW]
            for frame, image in zip(indices, video.frames(indices), strict=True):
                path = folder / frame_name(video_id, frame)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(encode_jpeg(image, quality=95))


@dataclass(frozen=True)
class ImportedMasks:
    """Masks of one video from another tool.

    Attributes:
        size: (height, width) of the masks, pixels.
        every: frame stride of the masks.
        frames: native frame -> object ID -> category and run-length code in JSON, with frames without objects; read lazily.
    """

    size: tuple[int, int]
    every: int
    frames: Iterable[tuple[int, Mapping[int, tuple[str, Any]]]]


UNNAMED = "object"
"""Category of objects in formats without categories."""

FindMasks = Callable[[Path], Mapping[str, Path]]
"""Finds the masks in a folder: stem of a video file -> file or folder with its masks."""

ReadMasks = Callable[[Path], ImportedMasks]
"""Reads the masks of a video. Raises `AnnotationError`, also during iteration over its frames."""
