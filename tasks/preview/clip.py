"""Full-rate clips of a video with its objects drawn, rendered on request."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from storage.folders.files import atomic_file
from storage.reader import Dataset, StoredInstance
from storage.rle import Mask, decode_counts
from tasks.markers.drawing import Candidate, digit_height_px, draw_markers, place_markers
from tasks.metrics.arrays import source_of
from tasks.video.reader import Frames, Video, local_source, open_video

PALETTE = ((230, 80, 60), (60, 160, 240), (90, 200, 90), (240, 190, 40), (170, 90, 220), (40, 200, 200), (240, 120, 180))
"""RGB colours of objects, by object ID."""
TICKS_A_SECOND = 1000

Paint = Callable[[int, Frames], None]
"""Draws on a native frame of this index, uint8 (height, width, 3), RGB, in place."""


def write_object_clip(dataset: Dataset, video_id: str, path: Path, marker_size: float = 20.0) -> Path:
    """Write an H.264 file of a video at its native rate and size, with each object tinted and numbered.

    Args:
        dataset: a published dataset.
        video_id: ID of the video, whose source must still exist.
        path: target file.
        marker_size: the paper's font size.

    Raises:
        DatasetError: there is no such video.
        VideoError: the source cannot be read.
    """
    [size] = dataset.rows("videos", video_id, ["width", "height"]).to_pylist()
    height_px = digit_height_px(marker_size, max(size.values()))

    def paint(frame: int, image: Frames) -> None:
        _objects(image, dataset.instances(video_id, frame), height_px)

    return encode_clip(dataset, video_id, path, paint)


def encode_clip(dataset: Dataset, video_id: str, path: Path, paint: Paint, frames: range | None = None) -> Path:
    """Write an H.264 file of consecutive frames of a video, with drawings on each.

    Args:
        dataset: a published dataset.
        video_id: ID of the video, its path below the videos folder.
        path: target file.
        paint: draws on a native frame in place: index, uint8 (height, width, 3), RGB.
        frames: consecutive native frame indices; all by default.

    Raises:
        DatasetError: there is no such video.
        VideoError: the source cannot be read.
    """
    with (
        local_source(source_of(dataset, video_id)) as source,
        atomic_file(path.with_suffix(".mp4"), durable=False) as temporary,
    ):
        video = open_video(source)
        _encode(video, temporary, frames or range(len(video)), paint)
    return path.with_suffix(".mp4")


def _encode(video: Video, path: Path, frames: range, paint: Paint) -> None:
    import av

    times_s = video.timeline.times_s - video.timeline.times_s[frames.start]
    with av.open(str(path), "w", format="mp4") as container:
        stream: Any = container.add_stream("libx264", rate=max(1, round(video.timeline.fps)), options={"crf": "20"})
        stream.width, stream.height = video.width // 2 * 2, video.height // 2 * 2
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, TICKS_A_SECOND)
        for first, window in video.windows(frames.start, frames.stop):
            for index, image in enumerate(window, start=first):
                painted = image.copy()
                paint(index, painted)
                frame = av.VideoFrame.from_ndarray(painted[: stream.height, : stream.width], format="rgb24")
                frame.pts = round(float(times_s[index]) * TICKS_A_SECOND)
                frame.time_base = Fraction(1, TICKS_A_SECOND)
                container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _objects(image: Frames, instances: list[StoredInstance], height_px: float) -> None:
    for instance in instances:
        tint(image, decode_counts(instance.counts, *image.shape[:2]), instance.object_id)
    candidates = [
        Candidate(object_id=i.object_id, category=i.category, area=i.area, anchor=i.anchor, box=i.box) for i in instances
    ]
    draw_markers(image, place_markers(candidates, (1.0, 1.0), (image.shape[1], image.shape[0]), height_px), height_px)


def tint(image: Frames, mask: Mask, object_id: int) -> None:
    """Tint an object's pixels in place.

    Args:
        image: uint8 (height, width, 3), RGB.
        mask: bool (height, width).
        object_id: ID of the object, from 1.
    """
    image[mask] = (image[mask] * 0.6 + np.array(PALETTE[object_id % len(PALETTE)]) * 0.4).astype(np.uint8)
