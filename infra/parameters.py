"""What a person sets for any build; shown as a form in the Prefect UI and as `stvg` options."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from infra.ray_pool import PoolConfig
from tasks.datasets.base import Benchmark
from tasks.detect import DetectConfig
from tasks.labels import Style
from tasks.markers import MarkerConfig
from tasks.pipeline import BuildConfig
from tasks.plan import Build
from tasks.released import Anchor, AnswerRule, Filter
from tasks.render import RenderConfig
from tasks.sampling import SamplingConfig
from tasks.track import TrackConfig
from tasks.weights import Weights, find_weights

DetectorName = Literal["motion", "people", "people+motion", "yolo12n", "yolo12x", "scripted"]
TrackerName = Literal["flow", "sam2"]
RANDOM = "random"
"""In place of a weight file: random weights, to try a model's machinery without it."""

_DETECTOR_WEIGHTS = {"yolo12n": "yolo12n.pt", "yolo12x": "yolo12x.pt"}
_SAM2_WEIGHTS = "sam2.1_hiera_{model}.pt"


class BuildParameters(BaseModel):
    """Parameters of every build."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: str = Field("datasets", title="Datasets folder", description="Datasets are published in folders below this one.")
    name: str = Field(
        "", title="Dataset name", pattern=r"^([a-z0-9][a-z0-9._-]*)?$", description="Lower case; empty takes the benchmark's."
    )
    detector: DetectorName = Field(
        "people+motion", title="Detector", description="What finds objects; the OpenCV ones need no weights."
    )
    detector_weights: str = Field(
        "", title="Detector weights", description="File name or path; empty takes the detector's own; 'random' for a trial."
    )
    detector_image_size: int = Field(
        640, title="Detector image size", ge=32, le=4096, description="Longest side in pixels at which the detector works."
    )
    confidence: float = Field(0.25, title="Confidence", ge=0, le=1, description="Detections below this score are dropped.")
    target: Literal["all", "person", "non-person"] = Field("all", title="Target", description="Which categories are objects.")
    every_frames: int = Field(
        15, title="Detect every", ge=1, le=10_000, description="Frames between two searches for new objects."
    )
    tracker: TrackerName = Field("flow", title="Tracker", description="What follows objects: optical flow, or SAM2.1.")
    tracker_weights: str = Field(
        "", title="Tracker weights", description="File name or path; empty takes the model's own; 'random' for a trial."
    )
    sam2_model: Literal["tiny", "small", "base_plus", "large"] = Field(
        "large", title="SAM2.1 model", description="Size of SAM2.1; the flow tracker ignores it."
    )
    sam2_image_size: int = Field(
        1024, title="SAM2.1 image size", ge=128, le=2048, multiple_of=32, description="Side in pixels of the image SAM2.1 sees."
    )
    backward: bool = Field(True, title="Track backward", description="Follow each new object back to the first frame too.")
    max_iou: float = Field(0.4, title="New below IoU", ge=0, le=1, description="With every tracked mask, for a new object.")
    max_overlap: float = Field(
        0.6, title="New below overlap", ge=0, le=1, description="Intersection over the smaller mask, for a new object."
    )
    theta: float = Field(
        1 / 3,
        title="Size filter",
        ge=0,
        le=1,
        description="Objects below this share of the largest of their kind get no number.",
    )
    marker_size: float = Field(20, title="Marker size", ge=5, le=80, description="Font size of the numbers, as in the paper.")
    marker_style: Style = Field("numbers", title="Marker style", description="What is written on an object.")
    size_filter_among: Filter = Field(
        "category",
        title="Size filter among",
        description="Masks are compared by category (paper), or all (released).",
    )
    marker_anchor: Anchor = Field(
        "centroid",
        title="Marker anchor",
        description="Labels are centred on the centroid (paper), or as released.",
    )
    answer_rule: AnswerRule = Field(
        "paper", title="Answer rule", description="Rendered frames vote (paper), or all frames as released."
    )
    fps: float = Field(2, title="Frames per second", gt=0, le=30, description="Rate at which a model sees a clip.")
    total_pixels: int = Field(
        2048 * 28 * 28,
        title="Pixel budget",
        ge=100_000,
        le=100_000_000,
        description="Of a clip, as qwen-vl-utils counts it.",
    )
    jpeg_quality: int = Field(95, title="JPEG quality", ge=1, le=100, description="Of stored frames.")
    workers: int = Field(0, title="Workers", ge=0, le=4096, description="Videos worked on at once; 0 takes one a CPU.")
    gpus_per_worker: float = Field(0, title="GPUs a worker", ge=0, le=8, description="0 uses the CPU; fractions share a GPU.")
    deadline_s: float = Field(3600, title="Deadline", gt=0, le=86_400, description="Seconds after which a video is stopped.")
    error_budget: float = Field(
        0.05, title="Error budget", ge=0, le=1, description="Share of videos that may fail before the build does."
    )

    dataset: ClassVar[str] = ""

    def benchmark(self) -> Benchmark:
        """Read what is to be built."""
        raise NotImplementedError

    def build(self) -> Build:
        """The build these parameters ask for.

        Raises:
            AnnotationError: the annotations or the videos folder cannot be used.
            WeightsError: a weight file is missing.
        """
        return Build(Path(self.root) / (self.name or self.dataset), self.benchmark(), self.config())

    def config(self) -> BuildConfig:
        """Everything that shapes the dataset."""
        detector = _weights(self.detector_weights, _DETECTOR_WEIGHTS.get(self.detector, ""))
        tracker = _weights(self.tracker_weights, _SAM2_WEIGHTS.format(model=self.sam2_model) if self.tracker == "sam2" else "")
        detect = DetectConfig(
            self.detector, self.confidence, self.target, self.every_frames, self.detector_image_size, detector
        )
        track = TrackConfig(
            tracker=self.tracker,
            max_iou=self.max_iou,
            max_overlap=self.max_overlap,
            backward=self.backward,
            model=self.sam2_model if self.tracker == "sam2" else "",
            image_size_px=self.sam2_image_size if self.tracker == "sam2" else 0,
            weights=tracker,
            device="cuda" if self.gpus_per_worker else "cpu",
        )
        sampling = SamplingConfig(self.fps, self.total_pixels)
        markers = MarkerConfig(self.theta, self.marker_size, self.marker_style, self.size_filter_among, self.marker_anchor)
        return BuildConfig(detect, track, RenderConfig(sampling, markers, self.jpeg_quality, self.answer_rule))

    def pool(self) -> PoolConfig:
        """How it is spread over workers."""
        return PoolConfig(self.workers, gpus=self.gpus_per_worker, deadline_s=self.deadline_s)


def _weights(given: str, default: str) -> Weights | None:
    name = given or default
    return find_weights(name) if name and name != RANDOM else None
