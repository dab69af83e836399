"""Detectors without weights: motion relative to the camera, and OpenCV's people detector."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.common.prefetch import prefetch
from tasks.detection.base import Detection, DetectorConfig, filter_detections
from tasks.masks.instances import Box, box_iou
from tasks.video.motion import camera_motion, flow_magnitude, optical_flow, residual_flow, working_size
from tasks.video.reader import Frames, Video
from tasks.weights import Weights

MOTION_OFFSET_S = 0.2
"""Seconds between a key frame and the frames before and after it that motion is measured against: enough for a slow walker to
move."""
MIN_MOTION_PX = 0.7
"""Residual motion in pixels at the detector's size below which a pixel counts as background."""
MIN_AREA = 0.004
"""Minimum area of a moving region as a fraction of the image."""
MOTION_SIZE_PX = 480
SAME_IOU = 0.45

FramesByKey = Mapping[int, Sequence[int]]
"""Key frame -> indices of the frames needed to process it, ascending."""
IndexedFrame = tuple[int, Frames]
"""Index of a frame, and the frame, uint8 (height, width, 3), RGB."""


_PERSON_WINDOW = (64, 128)
"""(width, height) in pixels of the window in which OpenCV's detector knows people."""


class MotionDetector:
    """Detects regions that move relative to the camera. Their category is `object`, since motion does not reveal the class."""

    def __init__(self, config: DetectorConfig, weights: Weights | None = None) -> None:
        self._config = config

    def detect(self, video: Video, indices: Sequence[int]) -> list[list[Detection]]:
        """Detections on each frame of `indices`, best score first.

        Args:
            video: the opened video.
            indices: 0-based native frame indices, ascending.
        """
        looks = motion_frames(video, indices)
        with closing(decode_once(video, looks)) as frames:
            detections = dict(self.detect_motion(frames, looks))
        return [filter_detections(_scaled(detections[index], video), self._config) for index in indices]

    def detect_motion(self, frames: Iterable[IndexedFrame], looks: FramesByKey) -> Iterator[tuple[int, list[Detection]]]:
        """Moving regions of each key frame, as soon as the frames it is compared with have been read.

        Args:
            frames: every frame of `looks` with its index, ascending. Only small grey images of at most `2 * MOTION_OFFSET_S`
                seconds are retained.
            looks: key frame -> frames to compare with.

        Yields:
            (key frame, moving regions with boxes as fractions of the image), ascending.
        """
        waiting = deque(sorted(looks.items()))
        uses = Counter(i for near in looks.values() for i in near)
        seen: dict[int, NDArray[np.uint8]] = {}
        for index, frame in frames:
            seen[index] = _gray(frame, min(MOTION_SIZE_PX, self._config.image_size_px))
            while waiting and waiting[0][1][-1] <= index:
                key, near = waiting.popleft()
                yield key, _moving(seen[key], [seen[i] for i in near if i != key])
                uses.subtract(near)
                seen = {i: gray for i, gray in seen.items() if uses[i]}


class PeopleDetector:
    """Detects upright people by OpenCV's histogram-of-oriented-gradients detector."""

    def __init__(self, config: DetectorConfig, weights: Weights | None = None) -> None:
        self._config = config

    @cached_property
    def _hog(self) -> Any:
        import cv2

        hog = cv2.HOGDescriptor()
        hog.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())
        return hog

    def detect(self, video: Video, indices: Sequence[int]) -> list[list[Detection]]:
        """Detections on each frame of `indices`, best score first.

        Args:
            video: the opened video.
            indices: 0-based native frame indices, ascending.
        """
        with closing(decode_once(video, {index: [index] for index in indices})) as frames:
            detections = {index: self.detect_people(frame) for index, frame in frames}
        return [filter_detections(_scaled(detections[index], video), self._config) for index in indices]

    def detect_people(self, frame: Frames) -> list[Detection]:
        """People on one frame, uint8 (height, width, 3), RGB; boxes are fractions of the image."""
        import cv2

        # The detector is trained on people of about 96 pixels in a window of 128, so smaller people need a larger image.
        size = self._config.image_size_px / max(frame.shape[:2])
        frame = cv2.resize(frame, None, fx=size, fy=size, interpolation=cv2.INTER_AREA if size < 1 else cv2.INTER_LINEAR)
        height, width = frame.shape[:2]
        below, right = max(0, _PERSON_WINDOW[1] - height), max(0, _PERSON_WINDOW[0] - width)
        # A picture smaller than the window, such as a very wide one at this size, crashes the detector.
        padded = cv2.copyMakeBorder(frame[..., ::-1], 0, below, 0, right, cv2.BORDER_REPLICATE)
        boxes, weights = self._hog.detectMultiScale(padded, winStride=(8, 8), padding=(16, 16), scale=1.06)
        detections = []
        for (x, y, w, h), weight in zip(boxes, np.ravel(weights), strict=True):
            # Detection windows include a margin around the person.
            box = (x + 0.14 * w, y + 0.07 * h, x + 0.86 * w, y + 0.93 * h)
            score = float(1 / (1 + np.exp(-2.0 * (weight - 0.6))))
            detections.append(Detection((box[0] / width, box[1] / height, box[2] / width, box[3] / height), "person", score))
        return suppress_overlaps(detections)


class PeopleAndMotionDetector:
    """Combination of both detectors; where both detect the same region, the person is reported."""

    def __init__(self, config: DetectorConfig, weights: Weights | None = None) -> None:
        self._config = config
        self._people, self._motion = PeopleDetector(config), MotionDetector(config)

    def detect(self, video: Video, indices: Sequence[int]) -> list[list[Detection]]:
        """Detections on each frame of `indices`, best score first; each frame is decoded once.

        Args:
            video: the opened video.
            indices: 0-based native frame indices, ascending.
        """
        looks = motion_frames(video, indices)
        people: dict[int, list[Detection]] = {}

        def searched(frames: Iterable[IndexedFrame]) -> Iterator[IndexedFrame]:
            for index, frame in frames:
                if index in looks:
                    people[index] = self._people.detect_people(frame)
                yield index, frame

        with closing(decode_once(video, looks)) as frames:
            moving = dict(self._motion.detect_motion(searched(frames), looks))
        return [filter_detections(_scaled(suppress_overlaps(people[i] + moving[i]), video), self._config) for i in indices]


def motion_frames(video: Video, indices: Sequence[int]) -> FramesByKey:
    """Frames that each key frame is compared with, ascending: `MOTION_OFFSET_S` before, the frame itself, and the same after.

    Args:
        video: the opened video.
        indices: 0-based native frame indices, ascending.
    """
    reach = max(1, round(MOTION_OFFSET_S * video.timeline.fps))
    return {index: [i for i in (index - reach, index, index + reach) if 0 <= i < len(video)] for index in indices}


def decode_once(video: Video, looks: FramesByKey) -> Generator[IndexedFrame, None, None]:
    """Decode each required frame once, in ascending order, with the next one decoded in the background.

    Args:
        video: the opened video.
        looks: key frame -> indices of the frames it needs.

    Raises:
        VideoError: the file is truncated or cannot be decoded at one of the frames.
    """
    numbers = sorted({index for near in looks.values() for index in near})
    return prefetch((index, video.frames([index])[0]) for index in numbers)


def _moving(here: NDArray[np.uint8], others: Sequence[NDArray[np.uint8]]) -> list[Detection]:
    """Regions of a grey image that move relative to the camera, compared with one or two others."""
    if not others:
        return []
    # Background uncovered by an object also appears to move, but only relative to one of the frames: the minimum removes it.
    flows = [optical_flow(here, other, fast=False) for other in others]
    return motion_regions(np.minimum.reduce([flow_magnitude(residual_flow(flow, camera_motion(flow))) for flow in flows]))


def motion_regions(motion: NDArray[np.float32]) -> list[Detection]:
    """Connected regions of a map of residual motion, float32 (height, width) in pixels; boxes are fractions of the map."""
    import cv2

    height, width = motion.shape
    least = max(MIN_MOTION_PX, 4.0 * float(np.median(motion)))
    moving = (motion > least).astype(np.uint8)
    moving = cv2.morphologyEx(moving, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    moving = cv2.morphologyEx(moving, cv2.MORPH_CLOSE, np.ones((15, 5), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(moving, connectivity=4)
    detections = []
    for k in range(1, count):
        x, y, w, h, area = (int(s) for s in stats[k])
        if area < MIN_AREA * height * width or area < 0.25 * w * h:
            continue
        part = motion[y : y + h, x : x + w][labels[y : y + h, x : x + w] == k]
        score = 1.0 - 0.5 * float(np.exp(1.0 - np.median(part) / least)) - 0.3 * float(np.exp(-area / (0.01 * height * width)))
        detections.append(Detection((x / width, y / height, (x + w) / width, (y + h) / height), "object", min(score, 0.99)))
    return detections


def suppress_overlaps(detections: Sequence[Detection]) -> list[Detection]:
    """Non-maximum suppression, with people before other categories, then by score."""
    kept: list[Detection] = []
    for detection in sorted(detections, key=lambda d: (d.category != "person", -d.score)):
        if all(box_iou(detection.box, other.box) < SAME_IOU for other in kept):
            kept.append(detection)
    return kept


def _gray(frame: Frames, longest: int) -> NDArray[np.uint8]:
    import cv2

    size = working_size(frame.shape[0], frame.shape[1], longest)
    small = frame if frame.shape[1::-1] == size else cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


def _scaled(detections: Sequence[Detection], video: Video) -> list[Detection]:
    """Convert boxes from fractions of the image to pixels, clipped to the image."""

    def inside(box: Box) -> Box:
        x1, y1, x2, y2 = (min(max(v, 0.0), 1.0) for v in box)
        return x1 * video.width, y1 * video.height, x2 * video.width, y2 * video.height

    return [d._replace(box=inside(d.box)) for d in detections]
