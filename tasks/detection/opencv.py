"""Detectors that need no download: what moves against the camera, and OpenCV's people detector."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.common.prefetch import prefetch
from tasks.detection.base import DetectConfig, Detection, filter_detections
from tasks.masks.instances import Box, box_iou
from tasks.video.motion import camera_motion, flow_magnitude, optical_flow, residual_flow, working_size
from tasks.video.reader import Frames, Video

MOTION_OFFSET_S = 0.2
"""Motion is measured against frames this far before and after: long enough to see a slow walker move."""
MIN_MOTION_PX = 0.7
"""Own motion, at the detector's size, below which a pixel is taken for background whatever the rest does."""
MIN_AREA = 0.004
"""Share of the picture that a moving region must cover."""
MOTION_SIZE_PX = 480
SAME_IOU = 0.45

FramesByKey = Mapping[int, Sequence[int]]
"""Key frame -> the frames needed to search it, ascending."""
IndexedFrame = tuple[int, Frames]
"""A frame's index, and the frame, uint8 (height, width, 3), RGB."""


_PERSON_WINDOW = (64, 128)
"""(width, height) in pixels of the window in which OpenCV's detector knows people."""


class MotionDetector:
    """Finds regions that move unlike the camera. Categories are `object`: motion does not say what moves."""

    def __init__(self, config: DetectConfig) -> None:
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
        """Moving regions of each key frame of `looks` as soon as the frames it is measured against have gone by.

        Args:
            frames: every frame of `looks` with its index, ascending. Only small grey pictures are kept of them, those of
                `2 * LOOK_S` seconds at most.
            looks: the key frames.

        Yields:
            (key frame, its moving regions, their boxes in shares of the picture), ascending.
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
    """Finds upright people by OpenCV's histogram-of-gradients detector."""

    def __init__(self, config: DetectConfig) -> None:
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
        """People on one frame, uint8 (height, width, 3), RGB; their boxes in shares of the picture."""
        import cv2

        # The detector knows people of about 96 pixels in a window of 128 and finds smaller ones only on a larger picture.
        size = self._config.image_size_px / max(frame.shape[:2])
        frame = cv2.resize(frame, None, fx=size, fy=size, interpolation=cv2.INTER_AREA if size < 1 else cv2.INTER_LINEAR)
        height, width = frame.shape[:2]
        below, right = max(0, _PERSON_WINDOW[1] - height), max(0, _PERSON_WINDOW[0] - width)
        # A picture smaller than the window, such as a very wide one at this size, crashes the detector.
        padded = cv2.copyMakeBorder(frame[..., ::-1], 0, below, 0, right, cv2.BORDER_REPLICATE)
        boxes, weights = self._hog.detectMultiScale(padded, winStride=(8, 8), padding=(16, 16), scale=1.06)
        detections = []
        for (x, y, w, h), weight in zip(boxes, np.ravel(weights), strict=True):
            # Its windows leave a margin around the person.
            box = (x + 0.14 * w, y + 0.07 * h, x + 0.86 * w, y + 0.93 * h)
            score = float(1 / (1 + np.exp(-2.0 * (weight - 0.6))))
            detections.append(Detection((box[0] / width, box[1] / height, box[2] / width, box[3] / height), "person", score))
        return suppress_overlaps(detections)


class PeopleAndMotionDetector:
    """Both: a region that moves and looks like a person is a person; either alone counts too."""

    def __init__(self, config: DetectConfig) -> None:
        self._config = config
        self._people, self._motion = PeopleDetector(config), MotionDetector(config)

    def detect(self, video: Video, indices: Sequence[int]) -> list[list[Detection]]:
        """Detections on each frame of `indices`, best score first. Each frame is decoded once for both.

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
    """For each key frame the frames that its motion is seen on, ascending: `LOOK_S` before, itself, `LOOK_S` after.

    Args:
        video: the opened video.
        indices: 0-based native frame indices, ascending.
    """
    reach = max(1, round(MOTION_OFFSET_S * video.timeline.fps))
    return {index: [i for i in (index - reach, index, index + reach) if 0 <= i < len(video)] for index in indices}


def decode_once(video: Video, looks: FramesByKey) -> Generator[IndexedFrame, None, None]:
    """Each frame of `looks` once, with its index, ascending; the next one is decoded while the present one is searched.

    Args:
        video: the opened video.
        looks: key frame -> frames that are read for it.

    Raises:
        VideoError: the file breaks off or cannot be decoded at one of the frames.
    """
    numbers = sorted({index for near in looks.values() for index in near})
    return prefetch((index, video.frames([index])[0]) for index in numbers)


def _moving(here: NDArray[np.uint8], others: Sequence[NDArray[np.uint8]]) -> list[Detection]:
    """Regions of a grey picture that move against the camera, seen against one or two others."""
    if not others:
        return []
    # What is uncovered by a moving thing seems to move too, but only as seen from one side: the lesser motion tells.
    flows = [optical_flow(here, other, fast=False) for other in others]
    return motion_regions(np.minimum.reduce([flow_magnitude(residual_flow(flow, camera_motion(flow))) for flow in flows]))


def motion_regions(motion: NDArray[np.float32]) -> list[Detection]:
    """Connected regions of a map of own motion, float32 (height, width) in pixels; boxes in shares of the map."""
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
    """Drop each detection that a better or more telling one covers: people first, then by score."""
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
    """Boxes in shares of the picture as boxes in its pixels, inside it."""

    def inside(box: Box) -> Box:
        x1, y1, x2, y2 = (min(max(v, 0.0), 1.0) for v in box)
        return x1 * video.width, y1 * video.height, x2 * video.width, y2 * video.height

    return [d._replace(box=inside(d.box)) for d in detections]
