"""A clip with a model's answer drawn on it: the object tinted and boxed while it is meant, and a bar of the time below."""

from __future__ import annotations

from pathlib import Path

from rl.evaluation.ground import Grounded, Place
from storage.reader import Dataset
from storage.rle import decode_counts
from tasks.markers.drawing import Marker, digit_height_px, draw
from tasks.metrics.arrays import timeline_of
from tasks.preview.clip import PALETTE, painted_clip, tint
from tasks.video.reader import Frames

_BAR, _MEANT, _NOW = (70, 70, 70), (90, 200, 90), (255, 255, 255)
"""RGB of the bar of time, of the span on it, and of the present."""


def write_answer(dataset: Dataset, video_id: str, answer: Grounded, path: Path) -> Path:
    """Write an h264 file of the clip that was asked about, at its own times and size, with the answer drawn.

    Raises:
        VideoError: the source cannot be read any more.
    """
    frames = timeline_of(dataset, video_id).frames_in(*answer.clip_s)
    places: dict[int, list[tuple[int, Place]]] = {}
    for object_id, tube in answer.tubes.items():
        for place in tube:
            places.setdefault(place.frame, []).append((object_id, place))

    def paint(frame: int, image: Frames) -> None:
        for object_id, place in places.get(frame, ()):
            _object(image, object_id, place)
        _bar(image, frames, frame, answer.span_frames)

    return painted_clip(dataset, video_id, path, paint, frames)


def _object(image: Frames, object_id: int, place: Place) -> None:
    import cv2

    tint(image, decode_counts(place.counts.encode("ascii"), *image.shape[:2]), object_id)
    x1, y1, x2, y2 = place.box
    long_side = max(image.shape[:2])
    cv2.rectangle(image, (x1, y1), (x2 - 1, y2 - 1), PALETTE[object_id % len(PALETTE)], max(2, long_side // 400))
    height_px = digit_height_px(20, long_side)
    draw(image, [Marker(object_id, str(object_id), (x1 + x2) / 2, (y1 + y2) / 2)], height_px)


def _bar(image: Frames, frames: range, now: int, span: tuple[int, int] | None) -> None:
    """A bar along the lower edge: the clip from left to right, what is meant, and where we are."""
    height, width = max(4, len(image) // 60), int(image.shape[1])

    def column(frame: int) -> int:
        return (frame - frames.start) * width // len(frames)

    bar = image[-height - len(image) % 2 :]  # an odd last row is cut off by the encoder
    bar[:] = _BAR
    if span is not None:
        bar[:, column(span[0]) : column(span[1] + 1)] = _MEANT
    bar[:, column(now) : column(now) + max(2, width // 300)] = _NOW
