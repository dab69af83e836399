"""Every object of one video, within its limits and the machine's memory: detection, tracking, and what to do beyond either."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from storage.outcomes import Outcome
from tasks.benchmarks.samples import VideoJob
from tasks.detection.base import DetectConfig, build_detector, key_frames
from tasks.tracking.base import Budget, TrackConfig, Work, build_tracker
from tasks.tracking.discovery import CrowdedError, track
from tasks.tracking.limits import LimitConfig, LimitError, annotated_segments, within_duration
from tasks.tracking.tubes import Tubes
from tasks.video.reader import Video

T = TypeVar("T")

_OFF_LOADED = Outcome("done", "off_loaded", "memory ran out, so image features were off-loaded and objects tracked one by one")


class VideoMemoryError(Exception):
    """A video that does not fit the machine's memory even with its features off-loaded."""


@dataclass(frozen=True)
class VideoAnnotation:
    """Objects of a video.

    Attributes:
        tubes: their instances.
        work: what that took.
        segments: frames that were tracked, ascending.
        note: done, with the reason and the sentence of what was done otherwise than usual.
    """

    tubes: Tubes
    work: Work
    segments: Sequence[range]
    note: Outcome


class Annotator:
    """Holds a detector and a tracker; finds the objects of one video after another."""

    def __init__(self, detect: DetectConfig, track: TrackConfig, limits: LimitConfig) -> None:
        self._detector, self._tracker = build_detector(detect), build_tracker(track)
        self._detect, self._track, self._limits = detect, track, limits

    def annotate(self, job: VideoJob, video: Video) -> VideoAnnotation:
        """Find the objects of a video and follow them.

        Args:
            job: video with its clips; they bound what is tracked of a long or crowded video.
            video: the opened source of the job.

        Raises:
            LimitError: it is too long or too crowded, even cut to its annotated segments.
            ExhaustedError: it does not fit in memory.
            VideoError: it cannot be decoded.
        """
        segments = within_duration(job, video, self._limits)
        note = _cut_note(segments, video, "it is longer than the cap")
        try:
            annotation = self._within_memory(video, segments)
        except CrowdedError as error:
            crowded, annotated = str(error), annotated_segments(job, video)
        else:
            return replace(annotation, note=join_notes(note, annotation.note))
        if annotated == list(segments):
            raise LimitError("too_many_objects", f"{crowded}: raise max_objects, or the detector's confidence")
        note = _cut_note(annotated, video, f"it has {crowded}")
        try:
            annotation = self._within_memory(video, annotated)
        except CrowdedError as error:
            raise LimitError("too_many_objects", f"{error}, in its annotated segments alone: raise max_objects") from error
        return replace(annotation, note=join_notes(note, annotation.note))

    def _within_memory(self, video: Video, segments: Sequence[range]) -> VideoAnnotation:
        """Find, once more with everything off-loaded if memory runs out."""
        budget = self._track.budget
        annotation = none_if_out_of_memory(lambda: self._annotation(video, segments, budget))
        if annotation is not None:
            return annotation
        annotation = none_if_out_of_memory(lambda: self._annotation(video, segments, budget.lean()))
        if annotation is None:
            raise VideoMemoryError("memory ran out, and again with features off-loaded: lower the tracker's image size")
        return replace(annotation, note=join_notes(_OFF_LOADED, annotation.note))

    def _annotation(self, video: Video, segments: Sequence[range], budget: Budget) -> VideoAnnotation:
        every = self._detect.every_frames
        keys = [frames.start + key for frames in segments for key in key_frames(len(frames), every)]
        detections = dict(zip(keys, self._detector.detect(video, keys), strict=True))
        config = replace(self._track, budget=budget)
        tubes, work = track(video, self._tracker, detections, config, segments, self._limits.max_objects)
        return VideoAnnotation(tubes, work, segments, _features_note(work, sum(map(len, segments))))


def none_if_out_of_memory(work: Callable[[], T]) -> T | None:
    """Result of `work`, or None if memory ran out; what it held is given back first."""
    try:
        return work()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    # Outside the handler: its exception would still hold the frames of the stack, and so what fills the memory.
    _release_memory()
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory, the device's or the machine's, ran out."""
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


def _features_note(work: Work, frames: int) -> Outcome:
    """What became of image features, where they did not fit."""
    passes = f"{work.encoder_passes / frames:.2f} encoder passes a frame"
    if work.features == "spilled":
        return Outcome("done", "features_spilled", f"image features went to a file: {passes}")
    if work.features == "encoded_again":
        return Outcome("done", "features_encoded_again", f"image features did not fit: {passes}")
    return Outcome("done")


def join_notes(*notes: Outcome) -> Outcome:
    """Several notes of a done video as one: the first reason, every sentence."""
    given = [note for note in notes if note.reason]
    return Outcome("done", given[0].reason, "; ".join(note.detail for note in given)) if given else Outcome("done")
