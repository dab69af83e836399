"""What a person sets for any build; shown as a form in the Prefect UI and as `stvg` options."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from infra.forms.model_weights import detector_weights, tracker_weights
from infra.ray.pool import PoolConfig
from storage.folders.open import folder_at
from storage.specification import BuildRequest
from tasks.benchmarks.samples import Benchmark
from tasks.build.plan import Build
from tasks.build.workers import BuildConfig
from tasks.detection.base import DetectConfig
from tasks.detection.vocabulary import parse_prompts
from tasks.markers.drawing import MarkerConfig
from tasks.markers.labels import Style
from tasks.markers.released import Anchor, AnswerRule, Filter
from tasks.markers.render import RenderConfig
from tasks.tracking.base import Budget, TrackConfig
from tasks.tracking.limits import LimitConfig
from tasks.video.sampling import SamplingConfig

Located = Annotated[str, "located"]
"""The path of a file or folder."""
DetectorName = Literal["motion", "people", "people+motion", "yolo12n", "yolo12x", "grounding-dino", "florence-2", "scripted"]
TrackerName = Literal["flow", "sam2"]


class BuildParameters(BaseModel):
    """Parameters of every build."""

    # Defaults are validated: one left alone and the same one given must be the same number, for they are hashed.
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    root: Located = Field(
        "datasets", title="Datasets folder", description="A path or s3:// URL; datasets are published below it."
    )
    name: str = Field(
        "", title="Dataset name", pattern=r"^([a-z0-9][a-z0-9._-]*)?$", description="Lower case; empty takes the benchmark's."
    )
    detector: DetectorName = Field(
        "people+motion", title="Detector", description="What finds objects; the OpenCV ones need no weights."
    )
    detector_weights: str = Field(
        "",
        title="Detector weights",
        description="Name, path or s3 URL#sha256=...; empty takes the detector's own; 'random' for a trial of YOLO.",
    )
    prompts: str = Field(
        "",
        title="Text prompts",
        description="What Grounding DINO or Florence-2 looks for, comma-separated; empty takes COCO's names, or any object.",
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
        "",
        title="Tracker weights",
        description="Name, path or s3 URL#sha256=...; empty takes the model's own; 'random' for a trial.",
    )
    sam2_model: Literal["tiny", "small", "base_plus", "large"] = Field(
        "large", title="SAM2.1 model", description="Size of SAM2.1; the flow tracker ignores it."
    )
    sam2_image_size: int = Field(
        1024, title="SAM2.1 image size", ge=128, le=2048, multiple_of=32, description="Side in pixels of the image SAM2.1 sees."
    )
    sam2_precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", title="SAM2.1 precision", description="Numbers it computes with; auto takes bfloat16 on a GPU, else float32."
    )
    sam2_compiled: bool = Field(
        False, title="Compile SAM2.1", description="Slow to start, faster on each frame: worth it for many videos on a GPU."
    )
    features_mb: int = Field(
        2048, title="Feature memory", ge=0, le=1_000_000, description="MiB a worker for image features needed on the way back."
    )
    spill_mb: int = Field(
        4096, title="Feature file", ge=0, le=1_000_000, description="MiB of a file for more; beyond, frames are encoded again."
    )
    backward: bool = Field(True, title="Track backward", description="Follow each new object back to the first frame too.")
    max_iou: float = Field(0.4, title="New below IoU", ge=0, le=1, description="With every tracked mask, for a new object.")
    max_overlap: float = Field(
        0.6, title="New below overlap", ge=0, le=1, description="Intersection over the smaller mask, for a new object."
    )
    identity: bool = Field(True, title="Take IDs back", description="A new object that continues a lost one takes its ID back.")
    overlapping: bool = Field(True, title="Masks may overlap", description="Else each pixel belongs to one object at most.")
    max_duration_s: float = Field(
        1200,
        title="Longest video",
        ge=0,
        le=864_000,
        description="Seconds; of longer ones only annotated segments are tracked, if they are shorter. 0 has no cap.",
    )
    max_objects: int = Field(
        100,
        title="Most objects",
        ge=0,
        le=10_000,
        description="Of a video; with more only its annotated segments are tracked, if that helps. 0 has no cap.",
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
        "category", title="Size filter among", description="Masks are compared by category (paper), or all (released)."
    )
    marker_anchor: Anchor = Field(
        "centroid", title="Marker anchor", description="Labels are centred on the centroid (paper), or as released."
    )
    answer_rule: AnswerRule = Field(
        "paper", title="Answer rule", description="Rendered frames vote (paper), or all frames as released."
    )
    fps: float = Field(2, title="Frames per second", gt=0, le=30, description="Rate at which a model sees a clip.")
    total_pixels: int = Field(
        2048 * 28 * 28, title="Pixel budget", ge=100_000, le=100_000_000, description="Of a clip, as qwen-vl-utils counts it."
    )
    jpeg_quality: int = Field(95, title="JPEG quality", ge=1, le=100, description="Of stored frames.")
    workers: int = Field(0, title="Workers", ge=0, le=4096, description="Videos worked on at once; 0 takes one a CPU.")
    gpus_per_worker: float = Field(0, title="GPUs a worker", ge=0, le=8, description="0 uses the CPU; fractions share a GPU.")
    recycle_after: int = Field(
        0, title="Recycle workers", ge=0, le=1_000_000, description="Videos after which a worker starts afresh; 0 never does."
    )
    deadline_s: float = Field(3600, title="Deadline", gt=0, le=86_400, description="Seconds after which a video is stopped.")
    error_budget: float = Field(
        0.05, title="Error budget", ge=0, le=1, description="Share of videos that may fail before the build does."
    )
    ray: str = Field(
        "",
        title="Ray cluster",
        pattern=r"^(auto|[^\s/:]+:\d+|https?://\S+)?$",
        description="Empty starts a Ray here, auto or host:port joins one that runs, http://head:8265 sends it a Ray Job.",
    )
    hours: float = Field(72, title="Longest job", gt=0, le=8760, description="Hours after which a Ray Job is stopped.")

    dataset: ClassVar[str] = ""

    @field_validator("prompts")
    @classmethod
    def _prompts_are_read(cls, prompts: str, info: ValidationInfo) -> str:
        """Refuse prompts where nothing reads them, before any video is looked at."""
        if "detector" in info.data:
            DetectConfig(info.data["detector"], prompts=parse_prompts(prompts))
        return prompts

    def benchmark(self) -> Benchmark:
        """Read what is to be built."""
        raise NotImplementedError

    def build(self) -> Build:
        """The build these parameters ask for.

        Raises:
            AnnotationError: the annotations or the videos folder cannot be used.
            WeightsError: a weight file or folder is missing, or random weights are asked for of a detector without any.
        """
        placed = self.placed() if self.ray else self
        # Where it runs is no part of what is asked for: whoever runs it again may be elsewhere.
        asked = BuildRequest(self.dataset, self.placed().model_dump(mode="json", exclude={"ray", "hours"}))
        return Build(folder_at(placed.folder), placed.benchmark(), placed.config(), asked)

    @property
    def folder(self) -> str:
        """Where the dataset goes."""
        return f"{self.root}/{self.name or self.dataset}"

    @property
    def as_job(self) -> bool:
        """Whether the build runs as a Ray Job, with its driver on the cluster."""
        return self.ray.startswith("http")

    def placed(self) -> Self:
        """The same with absolute paths: a cluster's processes do not start in the folder that this one did."""
        located = [name for name, field in type(self).model_fields.items() if "located" in field.metadata]
        paths = {name: path for name in located if (path := getattr(self, name)) and "://" not in path}
        return self.model_copy(update={name: str(Path(path).absolute()) for name, path in paths.items()})

    def config(self) -> BuildConfig:
        """Everything that shapes the dataset."""
        detect = DetectConfig(
            self.detector,
            self.confidence,
            self.target,
            self.every_frames,
            self.detector_image_size,
            detector_weights(self.detector, self.detector_weights),
            parse_prompts(self.prompts),
        )
        track = TrackConfig(
            tracker=self.tracker,
            max_iou=self.max_iou,
            max_overlap=self.max_overlap,
            backward=self.backward,
            identity=self.identity,
            overlapping=self.overlapping,
            weights=tracker_weights(self.tracker, self.sam2_model, self.tracker_weights),
            device="cuda" if self.gpus_per_worker else "cpu",
            budget=Budget(self.features_mb, self.spill_mb),
            **self._sam2(),
        )
        sampling = SamplingConfig(self.fps, self.total_pixels)
        markers = MarkerConfig(self.theta, self.marker_size, self.marker_style, self.size_filter_among, self.marker_anchor)
        render = RenderConfig(sampling, markers, self.jpeg_quality, self.answer_rule)
        return BuildConfig(detect, track, render, LimitConfig(self.max_duration_s, self.max_objects))

    def _sam2(self) -> dict[str, Any]:
        """What only SAM2.1 reads: set to nothing for another tracker, so that it makes no difference to its masks."""
        if self.tracker != "sam2":
            return {"model": "", "image_size_px": 0, "precision": ""}
        usual = "bfloat16" if self.gpus_per_worker else "float32"
        precision = usual if self.sam2_precision == "auto" else self.sam2_precision
        chosen = {"model": self.sam2_model, "image_size_px": self.sam2_image_size, "precision": precision}
        return {**chosen, "compiled": self.sam2_compiled}

    def pool(self) -> PoolConfig:
        """How it is spread over workers."""
        limits = PoolConfig(deadline_s=self.deadline_s, recycle_after=self.recycle_after)
        return replace(limits, workers=self.workers, gpus=self.gpus_per_worker, address=self.ray or None)
