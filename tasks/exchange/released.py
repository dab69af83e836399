"""Layout of the released STVG-R1 code: one JSON file per frame, for all objects and for those above the size filter.

    <video>/mask_data/mask_<frame>.json
    <video>/mask_data_filtered_1_3/mask_<frame>.json
    {"height", "width", "objects": {"<id>": {"rle": {"size", "counts"}, "class_name", "box": null}}}

Frames count from 0 in the order of decoding. `<video>` is the file's name without folder and suffix. The released code makes
the masks of a frame disjoint before it writes them; its readers do not require it, so overlapping masks are kept here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any, TypedDict, cast

from storage.progress import OnProgress
from storage.reader import Dataset
from tasks.benchmarks.reading import frame_number, load_object, record_errors, require, stripped_text
from tasks.benchmarks.samples import AnnotationError
from tasks.exchange.base import (
    UNNAMED,
    CocoRle,
    ExportOptions,
    FormatError,
    ImportedMasks,
    VideoMasks,
    check_video_id,
    coco_rle,
    read_videos,
)
from tasks.markers.released import released_size_filter

_KIND = "the released code's format"
ALL, LARGE = "mask_data", "mask_data_filtered_1_3"


def write(dataset: Dataset, out: Path, options: ExportOptions, on_progress: OnProgress) -> dict[str, int]:
    """Write every tracked frame, including those without objects; see `tasks.exchange.base.WriteDataset`.

    Args:
        dataset: a published dataset.
        out: an existing, empty folder.
        options: frame stride and whether media are written.
        on_progress: called after each video.
    """
    assert options == ExportOptions(), "the format has no options"
    counts = {"videos": 0, "frames": 0, "masks": 0}
    names: dict[str, str] = {}
    for video in read_videos(dataset, on_progress):
        stem = check_video_id(PurePosixPath(video.video_id).stem)
        if (other := names.setdefault(stem, video.video_id)) != video.video_id:
            raise FormatError(f"'{other}' and '{video.video_id}' would both be '{stem}' in the released layout: rename one")
        _write_video(video, out / stem)
        counts["videos"] += 1
        counts["frames"] += len(video.tracked)
        counts["masks"] += sum(map(len, video.frames.values()))
    return counts


def _write_video(video: VideoMasks, folder: Path) -> None:
    for name in (ALL, LARGE):
        (folder / name).mkdir(parents=True)
    for frame in video.tracked:
        seen = video.frames.get(frame, {})
        large = released_size_filter({object_id: instance.area for object_id, instance in seen.items()})
        for name, ids in ((ALL, list(seen)), (LARGE, large)):
            (folder / name / f"mask_{frame}.json").write_text(json.dumps(_frame_record(video, frame, ids)))


class _MaskEntry(TypedDict):
    rle: CocoRle
    class_name: str | None
    box: None


class _FrameRecord(TypedDict):
    height: int
    width: int
    objects: dict[str, _MaskEntry]


def _frame_record(video: VideoMasks, frame: int, ids: Iterable[int]) -> _FrameRecord:
    seen = video.frames.get(frame, {})
    objects = {str(i): _MaskEntry(rle=coco_rle(seen[i], video), class_name=video.categories[i], box=None) for i in ids}
    return {"height": video.height, "width": video.width, "objects": objects}


def places(folder: Path) -> dict[str, Path]:
    """Folder of each video's masks, with all objects."""
    return {path.parent.name: path for path in sorted(folder.glob(f"*/{ALL}")) if path.is_dir()}


def read(place: Path) -> ImportedMasks:
    """Read the masks of a video; see `tasks.exchange.base.ReadMasks`."""
    files = {int(path.stem.removeprefix("mask_")): path for path in place.glob("mask_*.json") if path.stem[5:].isdecimal()}
    if not files:
        raise AnnotationError(f"'{place}' holds no mask_<frame>.json: this is not {_KIND}")
    frames = [(frame, files[frame]) for frame in sorted(files)]
    first = _record(frames[0][1])
    return ImportedMasks((first["height"], first["width"]), 1, ((frame, _objects(path)) for frame, path in frames))


def _record(path: Path) -> _FrameRecord:
    content = load_object(path, _KIND)
    require(content, ("height", "width", "objects"), f"'{path}'", _KIND)
    return cast(_FrameRecord, content)


def _objects(path: Path) -> dict[int, tuple[str, Any]]:
    with record_errors(f"'{path}'"):
        return {
            frame_number(i): (_category(content["class_name"]), content["rle"])
            for i, content in _record(path)["objects"].items()
        }


def _category(class_name: Any) -> str:
    """Category of an object; the released code writes null if it is unknown."""
    return UNNAMED if class_name is None else stripped_text(class_name)
