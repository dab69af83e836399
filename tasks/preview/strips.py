"""Film strips: the frames of each clip with their red numbers, as a model sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from tasks.preview.pictures import PagePicture, downscaled_picture, stored_picture
from tasks.preview.timeline import AxisSpan, axis_span, evenly_spaced
from tasks.video.timeline import Timeline

MAX_CLIPS = 4
MAX_FRAMES = 12
_FEW = 5
"""Fewest stored frames that tell a clip; where not even these fit, smaller copies of more stand in."""


class Strip(NamedTuple):
    """A clip's film strip.

    Attributes:
        row: its row of the clips table.
        stretch: the clip on the video's axis.
        pictures: some of its frames, in order; none if it has a reason.
        unchanged: whether these are the stored JPEGs, byte for byte, rather than smaller copies.
    """

    row: dict[str, Any]
    stretch: AxisSpan
    pictures: Sequence[PagePicture]
    unchanged: bool


def clip_strips(
    clips: Sequence[dict[str, Any]], frames: pa.Table | None, timeline: Timeline, strip_bytes: int
) -> tuple[list[Strip], int]:
    """Film strips of a video's clips, and how many clips are left out.

    Args:
        clips: its rows of the clips table.
        frames: its rows of the frames table; None if it has none.
        timeline: of the video.
        strip_bytes: JPEG bytes that all strips together may take before smaller copies stand in.
    """
    chosen = [clips[i] for i in evenly_spaced(len(clips), MAX_CLIPS)]
    filled = max(1, sum(not clip["reason"] for clip in chosen))
    share = strip_bytes // filled
    # Frames of many clips share the room, so that a video of many clips does not fill the page.
    max_frames = max(4, MAX_FRAMES // filled)
    return [_strip(clip, frames, timeline, share, max_frames) for clip in chosen], len(clips) - len(chosen)


def _strip(clip: dict[str, Any], frames: pa.Table | None, timeline: Timeline, share: int, max_frames: int) -> Strip:
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
    """(native frame, JPEG) of one clip's rendered frames, in order."""
    mine = [i for i, name in enumerate(frames.column("clip_id").to_pylist()) if name == clip_id]
    indices, jpegs = frames.column("frame_index"), frames.column("jpeg")
    return [(indices[i].as_py(), jpegs[i].as_py()) for i in mine]
