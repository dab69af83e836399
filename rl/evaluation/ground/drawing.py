"""Clip with an answer drawn: the object tinted and boxed while it is predicted, and a timeline along the lower edge."""

from __future__ import annotations

from pathlib import Path

from rl.evaluation.ground.result import GroundResult, TubeFrame
from storage.reader import Dataset
from storage.rle import decode_counts
from tasks.markers.drawing import Marker, digit_height_px, draw_markers
from tasks.metrics.arrays import timeline_of
from tasks.preview.clip import PALETTE, encode_clip, tint
from tasks.video.reader import Frames

_BACKGROUND, _SPAN, _CURSOR = (70, 70, 70), (90, 200, 90), (255, 255, 255)
"""RGB of the timeline, of the predicted range on it, and of the current time."""


def write_clip(dataset: Dataset, video_id: str, result: GroundResult, path: Path) -> Path:
    """Write an h264 file of the section that the model saw, at its own times and size, with the answer drawn.

    Args:
        dataset: Dataset of the video.
        video_id: ID of the video.
        result: Answer to draw.
        path: Path of the new file.

    Raises:
        VideoError: The source video cannot be read any more.
    """
    frames = timeline_of(dataset, video_id).frames_in(*result.clip_s)
    objects: dict[int, list[tuple[int, TubeFrame]]] = {}
    for object_id, tube in result.tubes.items():
        for tube_frame in tube:
            objects.setdefault(tube_frame.frame, []).append((object_id, tube_frame))

    def paint(frame: int, image: Frames) -> None:
        for object_id, tube_frame in objects.get(frame, ()):
            _draw_object(image, object_id, tube_frame)
        _draw_timeline(image, frames, frame, result.span_frames)

    return encode_clip(dataset, video_id, path, paint, frames)


def _draw_object(image: Frames, object_id: int, tube_frame: TubeFrame) -> None:
    import cv2

    tint(image, decode_counts(tube_frame.mask.counts.encode("ascii"), *image.shape[:2]), object_id)
    x1, y1, x2, y2 = tube_frame.box
    long_side = max(image.shape[:2])
    cv2.rectangle(image, (x1, y1), (x2 - 1, y2 - 1), PALETTE[object_id % len(PALETTE)], max(2, long_side // 400))
    height_px = digit_height_px(20, long_side)
    draw_markers(image, [Marker(object_id, str(object_id), (x1 + x2) / 2, (y1 + y2) / 2)], height_px)


def _draw_timeline(image: Frames, frames: range, current: int, span: tuple[int, int] | None) -> None:
    """Draw a bar along the lower edge: the section from left to right, the predicted range and the current frame."""
    height, width = max(4, len(image) // 60), int(image.shape[1])

    def column(frame: int) -> int:
        return (frame - frames.start) * width // len(frames)

    bar = image[-height - len(image) % 2 :]  # the encoder drops an odd last row
    bar[:] = _BACKGROUND
    if span is not None:
        bar[:, column(span[0]) : column(span[1] + 1)] = _SPAN
    bar[:, column(current) : column(current) + max(2, width // 300)] = _CURSOR
