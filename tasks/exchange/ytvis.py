"""YouTube-VIS export: one annotation per object, with mask, box and area, or null, for each frame of its video.

    annotations.json    {"info", "categories", "videos", "annotations"}
    JPEGImages/<video>/<frame>.jpg, if media are exported

`length` and `file_names` of a video refer to the exported frames. `track_id` is the object's ID in its video.
"""

from __future__ import annotations

from pathlib import Path

from storage.progress import OnProgress
from storage.reader import Dataset
from tasks.exchange.base import (
    ExportOptions,
    VideoMasks,
    categories_of,
    coco_header,
    coco_rle,
    frame_name,
    read_videos,
    write_images,
    xywh,
)
from tasks.exchange.json_lists import JsonListWriter, json_list_writer

ANNOTATIONS, IMAGES = "annotations.json", "JPEGImages"


def write(dataset: Dataset, out: Path, options: ExportOptions, on_progress: OnProgress) -> dict[str, int]:
    """Write all frames of each video, tracked or not, since lists start at frame 0; see `tasks.exchange.base.WriteDataset`.

    Args:
        dataset: a published dataset.
        out: an existing, empty folder.
        options: frame stride and whether media are written.
        on_progress: called after each video.
    """
    numbers = categories_of(dataset)
    with json_list_writer(out / ANNOTATIONS, ("videos", "annotations"), coco_header(dataset, numbers)) as lists:
        for video in read_videos(dataset, on_progress):
            frames = range(0, video.frame_count, options.every)
            _write_video(video, frames, numbers, lists)
            if options.media:
                write_images(dataset, video.video_id, frames, out / IMAGES)
    return lists.counts


def _write_video(video: VideoMasks, frames: range, numbers: dict[str, int], lists: JsonListWriter) -> None:
    size = {"width": video.width, "height": video.height, "length": len(frames)}
    files = [frame_name(video.video_id, frame) for frame in frames]
    number = lists.add("videos", {"id": lists.counts["videos"] + 1, "file_names": files, **size})
    for object_id, category in video.categories.items():
        seen = [video.frames.get(frame, {}).get(object_id) for frame in frames]
        if not any(seen):
            continue
        annotation = {
            "id": lists.counts["annotations"] + 1,
            "video_id": number,
            "category_id": numbers[category],
            "track_id": object_id,
            **size,
            "iscrowd": 0,
            "segmentations": [None if i is None else coco_rle(i, video) for i in seen],
            "bboxes": [None if i is None else xywh(i) for i in seen],
            "areas": [None if i is None else i.area for i in seen],
        }
        lists.add("annotations", annotation)
