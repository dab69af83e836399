"""Annotation of one video: detection and tracking within limits on duration, number of objects and memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, TypeVar

from pydantic import Field

from storage.common.config import RUNTIME, Config
from storage.outcomes import Outcome
from tasks.benchmarks.samples import VideoJob
from tasks.detection.base import CORRECTING, DetectorConfig, build_detector, find_detector_weights, key_frames
from tasks.pretrained.models import PERSON_MASK
from tasks.tracking.base import TrackingCost, build_tracker, find_tracker_weights
from tasks.tracking.config import MemoryConfig, TrackerConfig
from tasks.tracking.corrected import CorrectedTracking
from tasks.tracking.discovery import CrowdedError, Tracking, track
from tasks.tracking.limits import LimitConfig, LimitError, annotated_segments, within_duration
from tasks.tracking.tubes import Tubes
from tasks.video.reader import Video
from tasks.weights import Weights, find_weights

T = TypeVar("T")

_OFF_LOADED = Outcome("done", "off_loaded", "memory ran out, so image features were off-loaded and objects tracked one by one")


class VideoMemoryError(Exception):
    """A video that does not fit in memory even with its features off-loaded."""


@dataclass(frozen=True)
class VideoAnnotation:
    """Objects of a video.

    Attributes:
        tubes: instances of the objects.
        work: cost of tracking.
        segments: tracked frame ranges, ascending.
        note: done, with a reason and a sentence if the video was not tracked as configured.
    """

    tubes: Tubes
    work: TrackingCost
    segments: Sequence[range]
    note: Outcome


class AnnotatorConfig(Config):
    """Detector, tracker and limits of the annotation of videos; the limits do not determine masks."""

    detector: DetectorConfig = Field(DetectorConfig(), title="Detector", description="The detector that finds objects.")
    tracker: TrackerConfig = Field(TrackerConfig(), title="Tracker", description="The tracker that follows objects.")
    limits: Annotated[LimitConfig, RUNTIME] = Field(
        LimitConfig(), title="Limits", description="Limits on long and crowded videos."
    )

    @property
    def corrects(self) -> bool:
        """Whether the detections of key frames correct the tracked objects."""
        return self.detector.name in CORRECTING and self.tracker.name == "flow"


@dataclass(frozen=True)
class AnnotatorWeights:
    """Weight files of a detector and of a tracker; None for one without, or with random ones."""

    detector: Weights | None = None
    tracker: Weights | None = None


NO_WEIGHTS = AnnotatorWeights()


def find_annotator_weights(config: AnnotatorConfig) -> AnnotatorWeights:
    """Weights of a detector and of a tracker, by the names in their configuration or their own.

    Raises:
        WeightsError: a file or folder is missing, or the detector has no random weights.
    """
    people = find_weights(PERSON_MASK.file_name) if config.corrects else None
    return AnnotatorWeights(find_detector_weights(config.detector), people or find_tracker_weights(config.tracker))


class Annotator:
    """Annotates one video after another with one detector and one tracker."""

    def __init__(self, config: AnnotatorConfig, weights: AnnotatorWeights = NO_WEIGHTS) -> None:
        self._config = config
        self._detector = build_detector(config.detector, weights.detector)
        self._tracker = build_tracker(config.tracker, weights.tracker)

    def annotate(self, job: VideoJob, video: Video) -> VideoAnnotation:
        """Detect and track the objects of a video.

        Args:
            job: video with its clips, to which a long or crowded video is cut.
            video: opened source of the job.

        Raises:
            LimitError: the video exceeds a limit even if it is cut to its annotated segments.
            VideoMemoryError: the video does not fit in memory.
            VideoError: the video cannot be decoded.
        """
        segments = within_duration(job, video, self._config.limits)
        note = _cut_note(segments, video, "it is longer than the limit")
        try:
            annotation = self._within_memory(video, segments)
        except CrowdedError as error:
            crowded, annotated = str(error), annotated_segments(job, video)
        else:
            return replace(annotation, note=join_notes(note, annotation.note))
        if annotated == list(segments):
            raise LimitError("too_many_objects", f"{crowded}: raise limits.max_objects, or the detector's confidence")
        note = _cut_note(annotated, video, f"it has {crowded}")
        try:
            annotation = self._within_memory(video, annotated)
        except CrowdedError as error:
            raise LimitError(
                "too_many_objects", f"{error}, in its annotated segments alone: raise limits.max_objects"
            ) from error
        return replace(annotation, note=join_notes(note, annotation.note))

    def _within_memory(self, video: Video, segments: Sequence[range]) -> VideoAnnotation:
        """Annotate, with a second attempt with off-loaded features if memory runs out."""
        memory = self._config.tracker.memory
        annotation = none_if_out_of_memory(lambda: self._annotation(video, segments, memory))
        if annotation is not None:
            return annotation
        annotation = none_if_out_of_memory(lambda: self._annotation(video, segments, memory.lean()))
        if annotation is None:
            raise VideoMemoryError("memory ran out, and again with features off-loaded: lower the tracker's image size")
        return replace(annotation, note=join_notes(_OFF_LOADED, annotation.note))

    def _annotation(self, video: Video, segments: Sequence[range], memory: MemoryConfig) -> VideoAnnotation:
        every = self._config.detector.every_frames
        keys = [frames.start + key for frames in segments for key in key_frames(len(frames), every)]
        detections = dict(zip(keys, self._detector.detect(video, keys), strict=True))
        config = self._config.tracker.model_copy(update={"memory": memory})
        kind = CorrectedTracking if self._config.corrects else Tracking
        tubes, work = track(video, self._tracker, detections, config, segments, self._config.limits.max_objects, kind)
        return VideoAnnotation(tubes, work, segments, _features_note(work, sum(map(len, segments))))


def none_if_out_of_memory(work: Callable[[], T]) -> T | None:
    """Result of `work`, or None if memory ran out; the memory that it used is released first."""
    try:
        return work()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    # After the handler, since its exception refers to the stack frames, and thereby to the memory to release.
    _release_memory()
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error states that memory of the device or of the host ran out."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    message = str(error).lower()
    return isinstance(error, RuntimeError) and ("can't allocate memory" in message or "not enough memory" in message)


def _release_memory() -> None:
    import gc
    import sys

    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def _cut_note(segments: Sequence[range], video: Video, why: str) -> Outcome:
    if sum(map(len, segments)) == len(video):
        return Outcome("done")
    frames = f"{sum(map(len, segments))} of its {len(video)} frames"
    return Outcome("done", "cut_to_segments", f"only its annotated segments are tracked, {frames}: {why}")


def _features_note(work: TrackingCost, frames: int) -> Outcome:
    """Note about image features that did not fit in the budget."""
    passes = f"{work.encoder_passes / frames:.2f} encoder passes a frame"
    if work.features == "spilled":
        return Outcome("done", "features_spilled", f"image features went to a file: {passes}")
    if work.features == "encoded_again":
        return Outcome("done", "features_encoded_again", f"image features did not fit: {passes}")
    return Outcome("done")


def join_notes(*notes: Outcome) -> Outcome:
    """Merge notes of a done video: the first reason, and the sentences of all."""
    reasons = [note for note in notes if note.reason]
    return Outcome("done", reasons[0].reason, "; ".join(note.detail for note in reasons)) if reasons else Outcome("done")
