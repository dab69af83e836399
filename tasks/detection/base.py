"""Object detection on key frames by registered detectors (sections 3.2 and 4.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, cast

from storage.common.plugins import load_plugin
from tasks.masks.instances import Box
from tasks.video.reader import Video
from tasks.weights import Weights, local_weights


class Detection(NamedTuple):
    """A detected object.

    Attributes:
        box: (x1, y1, x2, y2) in pixels of the video, half-open, inside the image.
        category: class name, from COCO where the detector uses it, or the matched text prompt.
        score: confidence in [0, 1].
    """

    box: Box
    category: str
    score: float


@dataclass(frozen=True)
class DetectConfig:
    """What is detected, and when; every field shapes the masks.

    Attributes:
        detector: a name in `DETECTORS`.
        confidence: least score kept (section 4.1: 0.25); the box threshold of Grounding DINO.
        target: `person`, `non-person` or `all`: whether the category is the word `person`, also among text prompts.
        every_frames: detect on frame 0 and every so many frames (section 4.1: 15).
        image_size_px: longest side the detector works at.
        weights: weight file or folder of the detector, or None for its default or none.
        prompts: what a detector of an open vocabulary looks for, in words. Without any, Grounding DINO looks for COCO's 80
            names, and Florence-2 names what it sees.

    Raises:
        ValueError: prompts are given to a detector that takes none.
    """

    detector: str = "motion"
    confidence: float = 0.25
    target: str = "all"
    every_frames: int = 15
    image_size_px: int = 640
    weights: Weights | None = None
    prompts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.prompts and self.detector not in OPEN_VOCABULARY:
            others = " or ".join(OPEN_VOCABULARY)
            raise ValueError(f"the detector '{self.detector}' takes no text prompts: leave them empty, or use {others}")


class Detector(Protocol):
    """Detects objects on frames of a video."""

    def detect(self, video: Video, indices: Sequence[int]) -> list[list[Detection]]:
        """Detections on each frame of `indices`, best score first; the detector decodes the frames.

        Args:
            video: the opened video.
            indices: 0-based native frame indices, ascending.
        """
        ...


DETECTORS: Mapping[str, str] = {
    "motion": "tasks.detection.opencv:MotionDetector",
    "people": "tasks.detection.opencv:PeopleDetector",
    "people+motion": "tasks.detection.opencv:PeopleAndMotionDetector",
    "yolo12x": "tasks.detection.yolo:YoloDetector",
    "yolo12n": "tasks.detection.yolo:YoloDetector",
    "grounding-dino": "tasks.detection.grounding_dino:GroundingDinoDetector",
    "florence-2": "tasks.detection.florence:Florence2Detector",
    "scripted": "tasks.detection.scripted:ScriptedDetector",
}
"""Name -> class that takes a detector configuration, imported on use."""

OPEN_VOCABULARY = ("grounding-dino", "florence-2")
"""Detectors that take text prompts; their weights are model folders, and random weights are not available."""


def build_detector(config: DetectConfig) -> Detector:
    """Load the configured detector; its weights are fetched first if they are remote.

    Raises:
        ValueError: there is no detector of this name.
        WeightsError: its weights are missing or do not match.
        StoreError: its weights cannot be fetched.
    """
    with local_weights(config.weights) as weights:
        return cast(Detector, load_plugin(DETECTORS, config.detector, "detector")(replace(config, weights=weights)))


def key_frames(frame_count: int, every_frames: int) -> range:
    """Indices of key frames, on which objects are detected: 0 and every `every_frames` after it.

    Args:
        frame_count: number of native frames.
        every_frames: frames between two key frames, at least 1.
    """
    return range(0, frame_count, every_frames)


def filter_detections(detections: Sequence[Detection], config: DetectConfig) -> list[Detection]:
    """Detections of the configured target with at least the configured confidence, best score first.

    Args:
        detections: detections of one frame.
        config: target categories and minimum confidence.
    """
    kept = [
        d
        for d in detections
        if d.score >= config.confidence and (config.target == "all" or (d.category == "person") == (config.target == "person"))
    ]
    return sorted(kept, key=lambda d: -d.score)
