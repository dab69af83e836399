"""FiftyOne export in the layout of labelled videos, `FiftyOneVideoLabelsDataset`.

    manifest.json           {"type", "description", "index": [{"data", "labels"}]}
    labels/<video>.json     {"frames": {"<frame>": {"frame_number", "objects": {"objects": [...]}}}, "events": {...}}
    data/<video>            if media are exported; else the manifest contains the path of each video

Frames count from 1. Boxes are fractions of the image; masks are bool arrays in NumPy's format, cropped to the box. An object's
index is its ID. A sentence with a true span is an event. Source: FiftyOne's user guide, and ETA's guide of video labels.
"""

from __future__ import annotations

import json
import shutil
import zlib
from base64 import b64encode
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from storage.progress import OnProgress
from storage.reader import Dataset
from storage.rle import decode_counts
from tasks.exchange.base import ExportOptions, FormatError, VideoMasks, read_videos
from tasks.exchange.json_lists import json_list_writer
from tasks.masks.instances import Instance, Mask
from tasks.metrics.arrays import source_of
from tasks.video.reader import local_source


class _Object(TypedDict):
    type: str
    label: str
    bounding_box: dict[str, dict[str, float]]
    mask: str
    index: int
    frame_number: int


class _Frame(TypedDict):
    frame_number: int
    objects: dict[str, list[_Object]]


class _Event(TypedDict):
    type: str
    label: str
    support: dict[str, str]


_TYPE = "eta.core.datasets.LabeledVideoDataset"


def write(dataset: Dataset, out: Path, options: ExportOptions, on_progress: OnProgress) -> dict[str, int]:
    """Write every video with objects or sentences; see `tasks.exchange.base.WriteDataset`.

    Args:
        dataset: a published dataset.
        out: an existing, empty folder.
        options: frame stride and whether media are written.
        on_progress: called after each video.
    """
    counts = {"videos": 0, "masks": 0, "sentences": 0}
    sentences = set(dataset.video_ids("samples"))
    with json_list_writer(out / "manifest.json", ("index",), {"type": _TYPE, "description": dataset.manifest.dataset}) as lists:
        for video in read_videos(dataset, on_progress):
            labels = f"labels/{video.video_id}.json"
            events = list(_events(dataset, video.video_id)) if video.video_id in sentences else []
            _dump(out / labels, {"frames": _frames(video), "events": {"events": events}})
            lists.add("index", {"data": _data(dataset, video.video_id, out, options.media), "labels": labels})
            counts["videos"] += 1
            counts["masks"] += sum(map(len, video.frames.values()))
            counts["sentences"] += len(events)
    return counts


def _data(dataset: Dataset, video_id: str, out: Path, media: bool) -> str:
    """Path of a video in the manifest; the video is copied first if media are exported."""
    source = source_of(dataset, video_id)
    if isinstance(source.path, Path) and source.path.is_dir():
        raise FormatError(f"'{video_id}' is a folder of JPEGs, and FiftyOne's labels need video files: export as coco instead")
    if not media:
        if not isinstance(source.path, Path):
            raise FormatError(f"'{source.path}' is in an object store, which FiftyOne cannot open: add --media")
        return str(source.path.resolve())
    with local_source(source) as here:
        place = out / "data" / video_id
        place.parent.mkdir(parents=True, exist_ok=True)
        assert isinstance(here.path, Path)
        shutil.copyfile(here.path, place)
    return f"data/{video_id}"


def _frames(video: VideoMasks) -> dict[str, _Frame]:
    return {
        str(frame + 1): {
            "frame_number": frame + 1,
            "objects": {"objects": [_object(video, frame, object_id, seen[object_id]) for object_id in seen]},
        }
        for frame, seen in video.frames.items()
    }


def _object(video: VideoMasks, frame: int, object_id: int, instance: Instance) -> _Object:
    x1, y1, x2, y2 = instance.box
    mask = decode_counts(instance.counts, video.height, video.width)[y1:y2, x1:x2]
    corners = {"top_left": (x1, y1), "bottom_right": (x2, y2)}
    return {
        "type": "eta.core.objects.DetectedObject",
        "label": video.categories[object_id],
        "bounding_box": {name: {"x": x / video.width, "y": y / video.height} for name, (x, y) in corners.items()},
        "mask": _array(mask),
        "index": object_id,
        "frame_number": frame + 1,
    }


def _array(mask: Mask) -> str:
    data = BytesIO()
    np.save(data, mask, allow_pickle=False)
    return b64encode(zlib.compress(data.getvalue())).decode("ascii")


def _events(dataset: Dataset, video_id: str) -> Iterator[_Event]:
    """Sentences about a video with a true span."""
    for row in dataset.rows("samples", video_id, ["sentence", "start_frame", "end_frame"]).to_pylist():
        if row["start_frame"] is not None and row["end_frame"] is not None:
            support = {"ranges": f"{row['start_frame'] + 1}-{row['end_frame'] + 1}"}
            yield {"type": "eta.core.events.VideoEvent", "label": row["sentence"], "support": support}


def _dump(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False), "utf-8")
