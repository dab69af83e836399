"""Samples of a published dataset for evaluation, and their frames: with markers as stored, or without from the source video."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache, partial

from rl.engines.base import VisualInput
from storage.reader import Dataset
from storage.rows import ClipRow, SampleRow
from tasks.benchmarks.samples import Task
from tasks.build.stages import frames_parameters
from tasks.metrics.arrays import source_of, timeline_of
from tasks.video.diagnosis import VideoError
from tasks.video.jpeg import encode_jpeg
from tasks.video.reader import Video, local_source, open_video
from tasks.video.sampling import PIXEL_FACTOR, sample_frames, smart_resize
from tasks.video.timeline import Timeline

_SPAN = ["start_s", "end_s", "start_frame", "end_frame"]
_COLUMNS = ["sample_id", "clip_id", "video_id", "task", "sentence", *_SPAN, "options", "record"]
_IMAGE_PIXELS = 1280 * PIXEL_FACTOR**2
"""Maximum pixels of a frame that is shown alone."""
_OPEN_VIDEOS = 4


class ClipError(Exception):
    """A clip that cannot be shown to a model.

    Attributes:
        reason: a code, such as `no_objects` or `source_unreadable`.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class EvalSample:
    """A sample of a published dataset, as requests are made from it.

    Attributes:
        sample_id, video_id, clip_id: as in the dataset.
        task: what is to be answered.
        sentence: as annotated.
        span_s: true span, seconds of the clip, half-open, for protocols that give it; None without truth.
        options: choices of a question.
        record: place of the sample in the annotations.
    """

    # The names and values of these fields shape the fingerprints of stored batches.
    sample_id: str
    video_id: str
    clip_id: str
    task: Task
    sentence: str
    span_s: tuple[float, float] | None
    options: tuple[str, ...]
    record: str


@dataclass(frozen=True)
class EvalClip:
    """A clip of a published dataset.

    Attributes:
        start_s, end_s: seconds of the video, half-open.
        first_frame, last_frame: native frames, closed; None if the clip lies outside its video.
        size: (width, height) of its rendered frames, pixels.
        sample_fps: rate of its rendered frames, per second.
        reason: code of the reason why it has no rendered frames; empty if it has.
    """

    start_s: float
    end_s: float
    first_frame: int | None
    last_frame: int | None
    size: tuple[int, int]
    sample_fps: float
    reason: str


def eval_samples(dataset: Dataset, tasks: Collection[Task]) -> list[EvalSample]:
    """Every sample of these tasks, sorted by video and sample ID.

    Args:
        dataset: a published dataset.
        tasks: whose samples are read.
    """
    rows = dataset.table("samples", _COLUMNS).to_pylist()
    clock_of = lru_cache(maxsize=1)(partial(_clock, dataset))  # the rows of a video follow each other
    samples = (_eval_sample(_with_seconds(row, clock_of)) for row in rows if Task(row["task"]) in tasks)
    return sorted(samples, key=lambda sample: (sample.video_id, sample.sample_id))


_Clock = tuple[Timeline, Mapping[str, float]]
"""Of a video: the times of its frames, and clip ID -> start of the clip, seconds."""


def _clock(dataset: Dataset, video_id: str) -> _Clock:
    clips = dataset.rows("clips", video_id, ["clip_id", "start_s"]).to_pylist()
    return timeline_of(dataset, video_id), {clip["clip_id"]: clip["start_s"] for clip in clips}


def _with_seconds(row: SampleRow, clock_of: Callable[[str], _Clock]) -> SampleRow:
    """A sample's row with its true span in seconds of the clip, also where the annotation counts frames alone."""
    if row["start_s"] is not None or row["start_frame"] is None or row["end_frame"] is None:
        return row
    timeline, starts = clock_of(row["video_id"])
    clip_start_s = starts[row["clip_id"]]
    if row["start_frame"] >= len(timeline.times_s):  # the video is shorter than its annotation
        return row
    start_s, end_s = timeline.seconds_of(row["start_frame"], row["end_frame"])
    return {**row, "start_s": start_s - clip_start_s, "end_s": end_s - clip_start_s}


def _eval_sample(row: SampleRow) -> EvalSample:
    return EvalSample(
        sample_id=row["sample_id"],
        video_id=row["video_id"],
        clip_id=row["clip_id"],
        task=Task(row["task"]),
        sentence=row["sentence"],
        span_s=None if row["start_s"] is None or row["end_s"] is None else (row["start_s"], row["end_s"]),
        options=tuple(row["options"] or ()),
        record=row["record"] or "",
    )


class Clips:
    """Frames of a dataset's clips."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        parameters = frames_parameters(dataset)
        self._fps, self._quality = parameters.sampling.fps, parameters.rendering.jpeg_quality
        self._videos: OrderedDict[tuple[str, tuple[int, int]], tuple[Video, ExitStack]] = OrderedDict()

    def marked(self, sample: EvalSample) -> VisualInput:
        """The clip with its markers, as it was rendered.

        Raises:
            ClipError: it has no frames; the reason is that of the dataset, such as `no_objects`.
        """
        clip = self.clip(sample)
        if clip.reason:
            raise ClipError(clip.reason, f"clip '{sample.clip_id}' cannot be shown with markers")
        rows = self._dataset.frames(sample.video_id, sample.clip_id, ["clip_id", "time_s", "jpeg"])
        times, frames = rows.column("time_s").to_pylist(), rows.column("jpeg").to_pylist()
        return VisualInput(tuple(frames), clip.size, clip.sample_fps, tuple(times))

    def unmarked(self, sample: EvalSample) -> VisualInput:
        """The same frames at the same size without markers.

        Raises:
            ClipError: the source video is missing or broken, or the clip lies outside it.
        """
        clip, indices = self.clip(sample), self.indices(sample)
        timeline = timeline_of(self._dataset, sample.video_id)
        times = tuple(float(timeline.times_s[index] - clip.start_s) for index in indices)
        return VisualInput(self._encoded(sample.video_id, indices, clip.size), clip.size, clip.sample_fps, times)

    def image(self, sample: EvalSample, frame: int) -> VisualInput:
        """One native frame without markers, at its own size or the largest that is shown alone.

        Args:
            sample: whose video it is of.
            frame: native index, 0-based.

        Raises:
            ClipError: the source video is missing or broken.
        """
        size = smart_resize(*self.size(sample), PIXEL_FACTOR**2, _IMAGE_PIXELS)
        return VisualInput(self._encoded(sample.video_id, [frame], size), size, medium="image")

    def clip(self, sample: EvalSample) -> EvalClip:
        """The clip of a sample."""
        rows: list[ClipRow] = self._dataset.rows("clips", sample.video_id).to_pylist()
        row = next(row for row in rows if row["clip_id"] == sample.clip_id)
        return EvalClip(
            start_s=row["start_s"],
            end_s=row["end_s"],
            first_frame=row["first_frame"],
            last_frame=row["last_frame"],
            size=(row["width"], row["height"]),
            sample_fps=row["sample_fps"],
            reason=row["reason"],
        )

    def indices(self, sample: EvalSample) -> list[int]:
        """Native frames of a clip that are rendered, ascending.

        Raises:
            ClipError: the clip lies outside its video.
        """
        clip = self.clip(sample)
        if clip.first_frame is None or clip.last_frame is None:
            raise ClipError(clip.reason or "outside_video", f"clip '{sample.clip_id}' lies outside its video")
        frames = range(clip.first_frame, clip.last_frame + 1)
        return sample_frames(timeline_of(self._dataset, sample.video_id), frames, self._fps)

    def frames_between(self, sample: EvalSample, span_s: tuple[float, float]) -> range:
        """Native frames on screen in a span; see `Timeline.frames_in`.

        Args:
            sample: whose clip the span is of.
            span_s: seconds of the clip, half-open.
        """
        start_s = self.clip(sample).start_s
        return timeline_of(self._dataset, sample.video_id).frames_in(start_s + span_s[0], start_s + span_s[1])

    def size(self, sample: EvalSample) -> tuple[int, int]:
        """(width, height) of the native frames."""
        [row] = self._dataset.rows("videos", sample.video_id, ["width", "height"]).to_pylist()
        return row["width"], row["height"]

    def _encoded(self, video_id: str, indices: Sequence[int], size: tuple[int, int]) -> tuple[bytes, ...]:
        try:
            return tuple(encode_jpeg(frame, self._quality) for frame in self._video(video_id, size).frames(indices))
        except VideoError as error:
            raise ClipError("source_unreadable", f"frames without markers come from the source video, and {error}") from error

    def _video(self, video_id: str, size: tuple[int, int]) -> Video:
        """The source video, decoded at a size; the last few stay open."""
        if (video_id, size) not in self._videos:
            with ExitStack() as stack:
                video = open_video(stack.enter_context(local_source(source_of(self._dataset, video_id))), size)
                self._videos[video_id, size] = video, stack.pop_all()
            while len(self._videos) > _OPEN_VIDEOS:
                self._videos.popitem(last=False)[1][1].close()
        return self._videos[video_id, size][0]
