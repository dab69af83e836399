"""Helpers for detectors that process several frames together: batched decoding, and clipping of boxes to the image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing

from storage.common.prefetch import prefetch
from tasks.detection.base import Detection
from tasks.masks.instances import Box
from tasks.video.reader import Frames, Video

BATCH = 8
"""Frames per batch."""

RawDetection = tuple[Sequence[float], str, float]
"""Unclipped corners (x1, y1, x2, y2) in pixels, category and score."""


def detect_in_batches(
    detect_frames: Callable[[Frames], list[list[Detection]]], video: Video, indices: Sequence[int], size: int = BATCH
) -> list[list[Detection]]:
    """Detections on each frame of `indices`; the next batch is decoded while the current one is processed.

    At most two batches of frames are in memory: 8 frames of 1920x1080 take 50 MB.

    So two batches of frames are held at most: 8 frames of 1920x1080 are 50 MB.

    Args:
        detect_frames: returns the detections on each frame of a batch, uint8 (n, height, width, 3), RGB.
        video: the opened video.
        indices: 0-based native frame indices, ascending.
        size: frames per batch, at least 1.

    Raises:
        VideoError: the file is truncated or cannot be decoded at one of the frames.
    """
    firsts = range(0, len(indices), size)
    with closing(prefetch(video.frames(indices[first : first + size]) for first in firsts)) as batches:
        # map() instead of a loop, whose variable would keep its batch in memory while the next two are decoded.
        return [detections for batch in map(detect_frames, batches) for detections in batch]


def clip_boxes(detections: Iterable[RawDetection], height: int, width: int) -> list[Detection]:
    """Detections with boxes clipped to the image; boxes that are empty after clipping are dropped.

    Args:
        detections: corners in pixels, category and score of each detection.
        height: height of the image in pixels.
        width: width of the image in pixels.
    """
    clipped = ((_clip(corners, height, width), name, score) for corners, name, score in detections)
    return [Detection(box, name, score) for box, name, score in clipped if box[2] > box[0] and box[3] > box[1]]


def _clip(corners: Sequence[float], height: int, width: int) -> Box:
    x1, y1, x2, y2 = corners
    return max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))
