"""COCO export: one image per native frame, with the fields of COCO's video extensions for object identity.

    annotations.json    {"info", "categories", "videos", "images", "annotations"}
    images/<video>/<frame>.jpg, if media are exported

An annotation's `track_id` is the object's ID in its video. Masks are compressed run-length codes, boxes x, y, width, height.
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

ANNOTATIONS, IMAGES = "annotations.json", "images"


def write(dataset: Dataset, out: Path, options: ExportOptions, on_progress: OnProgress) -> dict[str, int]:
    """Write the tracked frames, including those without objects; see `tasks.exchange.base.WriteDataset`.

    Args:
        dataset: a published dataset.
        out: an existing, empty folder.
        options: frame stride and whether media are written.
        on_progress: called after each video.
    """
    numbers = categories_of(dataset)
    with json_list_writer(out / ANNOTATIONS, ("videos", "images", "annotations"), coco_header(dataset, numbers)) as lists:
        for video in read_videos(dataset, on_progress):
            frames = [frame for frame in video.tracked if frame % options.every == 0]
            _write_video(video, frames, numbers, lists)
            if options.media:
                write_images(dataset, video.video_id, frames, out / IMAGES)
    return lists.counts


def _write_video(video: VideoMasks, frames: list[int], numbers: dict[str, int], lists: JsonListWriter) -> None:
    size = {"width": video.width, "height": video.height}
    video_number = lists.counts["videos"] + 1
    lists.add("videos", {"id": video_number, "name": video.video_id, **size, "length": video.frame_count})
    for frame in frames:
        image = lists.counts["images"] + 1
        named = {"id": image, "file_name": frame_name(video.video_id, frame), **size}
        lists.add("images", {**named, "video_id": video_number, "frame_id": frame})
        for object_id, instance in video.frames.get(frame, {}).items():
            annotation = {
                "id": lists.counts["annotations"] + 1,
                "image_id": image,
                "video_id": video_number,
                "category_id": numbers[video.categories[object_id]],
                "track_id": object_id,
                "bbox": xywh(instance),
                "area": instance.area,
                "segmentation": coco_rle(instance, video),
                "iscrowd": 0,
            }
            lists.add("annotations", annotation)
