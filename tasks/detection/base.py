"""Object detection on key frames by registered detectors (sections 3.2 and 4.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, NamedTuple, Protocol, cast

from pydantic import Field, ValidationInfo, field_validator

from storage.common.config import RUNTIME, Config
from storage.common.plugins import load_plugin
from tasks.detection.vocabulary import Prompts
from tasks.masks.instances import Box
from tasks.pretrained.models import NANODET, YOLOV3_TINY
from tasks.video.reader import Video
from tasks.weights import RANDOM, Weights, WeightsError, local_weights, weights_named


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


OPEN_VOCABULARY = ("grounding-dino", "florence-2")
"""Detectors that take text prompts; both are folders of weights, and have no random ones."""

ANY_ULTRALYTICS = "ultralytics"
"""Detector of any Ultralytics file, with the class names that the file contains."""

CORRECTING = ("nanodet-g", "yolov3-tiny")
"""Detectors whose boxes are more reliable than propagation by optical flow, and correct it on every key frame."""

DetectorName = Literal[
    "nanodet-g",
    "yolov3-tiny",
    "motion",
    "people",
    "people+motion",
    "yolo12n",
    "yolo12x",
    "ultralytics",
    "grounding-dino",
    "florence-2",
    "scripted",
]


class DetectorConfig(Config):
    """The detector, and the frames on which it works (section 4.1)."""

    name: DetectorName = Field(
        "nanodet-g",
        title="Detector",
        description="Detector of the objects: nanodet-g and yolov3-tiny know COCO's classes; motion needs no weights.",
    )
    weights: Annotated[str, RUNTIME] = Field(
        "",
        title="Detector weights",
        description="Name, path or s3://...#sha256=... of the detector's weights; empty takes its own, random none (YOLO).",
    )
    prompts: Prompts = Field(
        (),
        title="Text prompts",
        description="Objects in words for Grounding DINO or Florence-2, comma-separated; empty takes COCO's, or any.",
    )
    image_size_px: int = Field(
        640,
        title="Detector image size",
        ge=32,
        le=4096,
        description="Longest side in pixels of the detector's input.",
    )
    confidence: float = Field(
        0.25, title="Confidence", ge=0, le=1, description="Detections with a lower score are dropped (paper: 0.25)."
    )
    target: Literal["all", "person", "non-person"] = Field(
        "all", title="Target", description="Categories that are objects: all, only persons, or all but persons."
    )
    every_frames: int = Field(
        15,
        title="Detect every",
        ge=1,
        le=10_000,
        description="Frames between two searches for new objects (paper: 15).",
    )

    @field_validator("prompts")
    @classmethod
    def _detector_takes_prompts(cls, prompts: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        """Refuse prompts that the detector does not read, before any video is opened."""
        name = info.data.get("name", "")
        if prompts and name not in OPEN_VOCABULARY:
            others = " or ".join(OPEN_VOCABULARY)
            raise ValueError(f"the detector '{name}' takes no text prompts: leave them empty, or use {others}")
        return prompts


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
    "nanodet-g": "tasks.detection.nanodet:NanodetDetector",
    "yolov3-tiny": "tasks.detection.yolov3_tiny:YoloTinyDetector",
    "motion": "tasks.detection.opencv:MotionDetector",
    "people": "tasks.detection.opencv:PeopleDetector",
    "people+motion": "tasks.detection.opencv:PeopleAndMotionDetector",
    "yolo12x": "tasks.detection.yolo:YoloDetector",
    "yolo12n": "tasks.detection.yolo:YoloDetector",
    "ultralytics": "tasks.detection.yolo:YoloDetector",
    "grounding-dino": "tasks.detection.grounding_dino:GroundingDinoDetector",
    "florence-2": "tasks.detection.florence:Florence2Detector",
    "scripted": "tasks.detection.scripted:ScriptedDetector",
}
"""Name -> class taking a `DetectorConfig` and its weights or None; imported when built, so that a name costs no import."""


OWN_WEIGHTS: Mapping[str, str] = {
    "nanodet-g": NANODET.file_name,
    "yolov3-tiny": YOLOV3_TINY.file_name,
    "yolo12n": "yolo12n.pt",
    "yolo12x": "yolo12x.pt",
    "grounding-dino": "grounding-dino-base",
    "florence-2": "florence-2-large",
}
"""Detector -> name of its own weights."""


def find_detector_weights(config: DetectorConfig) -> Weights | None:
    """Weights that a detector is configured with, or its own; None for one without, or for random ones.

    Raises:
        WeightsError: they are missing, or the detector has no random weights.
    """
    if config.name in OPEN_VOCABULARY and config.weights == RANDOM:
        raise WeightsError(f"'{config.name}' has no random weights: name the folder of its own")
    if config.name == ANY_ULTRALYTICS and config.weights in {"", RANDOM}:
        raise WeightsError(f"'{config.name}' is any Ultralytics detector: name its file, as in --detector.weights yolo11n.pt")
    return weights_named(config.weights or OWN_WEIGHTS.get(config.name, ""))


def build_detector(config: DetectorConfig, weights: Weights | None = None) -> Detector:
    """Load a detector.

    Args:
        config: names it.
        weights: its weights, fetched first if they are in an object store; None for a detector without, or with random ones.

    Raises:
        ValueError: there is no detector of this name.
        WeightsError: its weights are missing or do not match.
        StoreError: its weights cannot be fetched.
    """
    with local_weights(weights) as local:
        return cast(Detector, load_plugin(DETECTORS, config.name, "detector")(config, local))


def key_frames(frame_count: int, every_frames: int) -> range:
    """Indices of key frames, on which objects are detected: 0 and every `every_frames` after it.

    Args:
        frame_count: number of native frames.
        every_frames: frames between two key frames, at least 1.
    """
    return range(0, frame_count, every_frames)


def filter_detections(detections: Sequence[Detection], config: DetectorConfig) -> list[Detection]:
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
