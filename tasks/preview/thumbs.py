"""Selection and decoding of thumbnail frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from storage.folders.cache import RemoteFile
from storage.folders.folder import StoreError
from storage.rows import MaskRow, VideoRow
from tasks.preview.pictures import PagePicture, decode_jpeg, resize_image, thumb_size, thumbnail
from tasks.video.diagnosis import VideoError
from tasks.video.fingerprint import content_hash
from tasks.video.reader import Frames, Source, local_source, open_video
from tasks.video.timeline import Timeline

THUMBS = 4


def thumbnails(
    source: Path | RemoteFile, row: VideoRow, masks: pa.Table, frames: pa.Table | None, timeline: Timeline
) -> tuple[list[PagePicture], bool]:
    """Thumbnails of a video.

    Args:
        source: location of the video when it was tracked.
        row: row of the video in the videos table.
        masks: rows of the video in the masks table, sorted by frame.
        frames: rows of the video in the frames table; None if it has none.
        timeline: timeline of the video.

    Returns:
        The images, and whether they are stored frames, which have markers.
    """
    size = thumb_size(row["width"], row["height"])
    native = _native(source, row, _representative_frames(masks, range(row["frame_count"])), size)
    images = _stored(masks, frames, size) if native is None else native
    frame_indices = masks.column("frame_index").to_numpy()
    pictures = []
    for index, image in images.items():
        first, last = np.searchsorted(frame_indices, [index, index + 1])
        instances: list[MaskRow] = masks.slice(first, last - first).to_pylist()
        shape = row["width"], row["height"]
        pictures.append(thumbnail(image, index, float(timeline.times_s[index]), instances, shape))
    return pictures, native is None


def _native(path: Path | RemoteFile, row: VideoRow, indices: Sequence[int], size: tuple[int, int]) -> dict[int, Frames] | None:
    """Frames of the source by index; None if the source is missing or has changed."""
    # Decoders read the whole file for its index anyway, so hashing is cheap; masks over other pixels would be misleading.
    if content_hash(path) != row["sha256"]:
        return None
    try:
        with local_source(Source(row["video_id"], path, row["fps"])) as source:
            return dict(zip(indices, open_video(source, size, threads=2).frames(indices), strict=True))
    except (VideoError, StoreError):
        return None


def _stored(masks: pa.Table, frames: pa.Table | None, size: tuple[int, int]) -> dict[int, Frames]:
    """Rendered frames by native index, resized; empty if the video has none."""
    if frames is None:
        return {}
    rendered = frames.column("frame_index").to_pylist()
    jpegs = frames.column("jpeg")
    chosen = _representative_frames(masks, rendered)
    return {index: resize_image(decode_jpeg(jpegs[rendered.index(index)].as_py()), size) for index in chosen}


def _representative_frames(masks: pa.Table, frames: Sequence[int]) -> list[int]:
    """Frame with the most objects in each quarter of `frames`, the one nearest to the middle on a tie."""
    object_counts = dict(zip(*np.unique(masks.column("frame_index").to_numpy(), return_counts=True), strict=True))
    ordered = sorted(set(frames))
    quarters = (list(part) for part in np.array_split(ordered, THUMBS) if len(part))
    return [int(max(q, key=lambda f: (object_counts.get(f, 0), -abs(f - (q[0] + q[-1]) / 2)))) for q in quarters]
