"""Film strips: rendered frames of each clip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa

from storage.rows import ClipRow
from tasks.preview.pictures import PagePicture, downscaled_picture, stored_picture
from tasks.preview.timeline import AxisSpan, axis_span, evenly_spaced
from tasks.video.timeline import Timeline

MAX_CLIPS = 4
MAX_FRAMES = 12
_FEW = 5
"""Minimum number of frames at stored size; below it, more frames are shown downscaled."""


class Strip(NamedTuple):
    """Film strip of a clip.

    Attributes:
        row: row of the clip in the clips table.
        stretch: position of the clip on the video's axis.
        pictures: some of its frames, in order; empty if the clip has a reason.
        unchanged: whether the pictures are the stored JPEGs rather than downscaled copies.
    """

    row: ClipRow
    stretch: AxisSpan
    pictures: Sequence[PagePicture]
    unchanged: bool


def clip_strips(
    clips: Sequence[ClipRow], frames: pa.Table | None, timeline: Timeline, strip_bytes: int
) -> tuple[list[Strip], int]:
    """Film strips of the clips of a video, and the number of omitted clips.

    Args:
        clips: rows of the video in the clips table.
        frames: rows of the video in the frames table; None if it has none.
        timeline: timeline of the video.
        strip_bytes: maximum JPEG bytes of all strips at stored size; beyond it they are downscaled.
    """
    chosen = [clips[i] for i in evenly_spaced(len(clips), MAX_CLIPS)]
    filled = max(1, sum(not clip["reason"] for clip in chosen))
    share = strip_bytes // filled
    # The number of frames per clip decreases with the number of clips.
    max_frames = max(4, MAX_FRAMES // filled)
    return [_strip(clip, frames, timeline, share, max_frames) for clip in chosen], len(clips) - len(chosen)


def _strip(clip: ClipRow, frames: pa.Table | None, timeline: Timeline, share: int, max_frames: int) -> Strip:
    rows = [] if frames is None else _frames_of(frames, clip["clip_id"])
    fitting = share // max((len(jpeg) for _, jpeg in rows), default=1)
    unchanged = fitting >= min(_FEW, max_frames, len(rows))
    chosen = [rows[i] for i in evenly_spaced(len(rows), min(max_frames, fitting) if unchanged else max_frames)]
    size = clip["width"], clip["height"]
    pictures = []
    for index, jpeg in chosen:
        time_s = float(timeline.times_s[index])
        pictures.append(stored_picture(jpeg, index, time_s, size) if unchanged else downscaled_picture(jpeg, index, time_s))
    return Strip(clip, axis_span(clip["start_s"], clip["end_s"], timeline.duration_s), pictures, unchanged)


def _frames_of(frames: pa.Table, clip_id: str) -> list[tuple[int, bytes]]:
    """(native frame, JPEG) of the rendered frames of a clip, in order."""
    mine = [i for i, name in enumerate(frames.column("clip_id").to_pylist()) if name == clip_id]
    indices, jpegs = frames.column("frame_index"), frames.column("jpeg")
    return [(indices[i].as_py(), jpegs[i].as_py()) for i in mine]
