"""What detectors share that look at several frames at once: decoding ahead, and boxes kept inside the image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing

from storage.common.prefetch import prefetch
from tasks.detection.base import Detection
from tasks.masks.instances import Box
from tasks.video.reader import Frames, Video

BATCH = 8
"""Frames decoded and detected together."""

RawDetection = tuple[Sequence[float], str, float]
"""Corners (x1, y1, x2, y2) in pixels, anywhere; category; score."""


def detect_in_batches(
    detect_frames: Callable[[Frames], list[list[Detection]]], video: Video, indices: Sequence[int], size: int = BATCH
) -> list[list[Detection]]:
    """Detections on each frame of `indices`, decoding one batch of `size` frames while another is detected.

    So two batches of frames are held at most: 8 frames of 1920x1080 are 50 MB.

    Args:
        detect_frames: detections of a batch of frames, uint8 (n, height, width, 3), RGB.
        video: the opened video.
        indices: 0-based native frame indices, ascending.
        size: frames per batch, at least 1.

    Raises:
        VideoError: the file breaks off or cannot be decoded at one of the frames.
    """
    firsts = range(0, len(indices), size)
    with closing(prefetch(video.frames(indices[first : first + size]) for first in firsts)) as batches:
        # Mapped, for a loop's variable would hold its batch while the next two are decoded and handed over.
        return [detections for batch in map(detect_frames, batches) for detections in batch]


def clip_boxes(detections: Iterable[RawDetection], height: int, width: int) -> list[Detection]:
    """Detections with their boxes clipped to an image of `height` x `width` pixels; those of no area then are left out.

    Args:
        detections: corners in pixels, category and score of each.
        height: height of the image in pixels.
        width: width of the image in pixels.
    """
    clipped = ((_clip(corners, height, width), name, score) for corners, name, score in detections)
    return [Detection(box, name, score) for box, name, score in clipped if box[2] > box[0] and box[3] > box[1]]


def _clip(corners: Sequence[float], height: int, width: int) -> Box:
    x1, y1, x2, y2 = corners
    return max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))
