"""What a published dataset asks, and the frames that go with it: with markers as stored, or without from the source video."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from rl.engines.base import VisualInput
from storage.reader import Dataset
from tasks.benchmarks.samples import Task
from tasks.metrics.arrays import source_of, timeline_of
from tasks.video.diagnosis import VideoError
from tasks.video.jpeg import encode_jpeg
from tasks.video.reader import Video, local_source, open_video
from tasks.video.sampling import PIXEL_FACTOR, sample_frames, smart_resize
from tasks.video.timeline import Timeline

_SPAN = ["start_s", "end_s", "start_frame", "end_frame"]
_COLUMNS = ["sample_id", "clip_id", "video_id", "task", "sentence", *_SPAN, "options", "record"]
_IMAGE_PIXELS = 1280 * PIXEL_FACTOR**2
"""Most pixels of a frame that is shown alone."""
_OPEN_VIDEOS = 4


class ShownError(Exception):
    """A clip that cannot be shown; `reason` is a code."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class Asked:
    """A sample as it is asked; `span_s` is the true one, seconds of the clip, for protocols that give it."""

    sample_id: str
    video_id: str
    clip_id: str
    task: Task
    sentence: str
    span_s: tuple[float, float] | None
    options: tuple[str, ...]
    record: str


def asked_samples(dataset: Dataset, tasks: Collection[Task]) -> list[Asked]:
    """Every sample of these tasks, by video and sample ID: their order is that of their keys, not of their coming."""
    rows = dataset.table("samples", _COLUMNS).to_pylist()
    clock_of = lru_cache(maxsize=1)(partial(_clock, dataset))  # rows of one video stand together
    wanted = (_asked(_timed(row, clock_of)) for row in rows if Task(row["task"]) in tasks)
    return sorted(wanted, key=lambda asked: (asked.video_id, asked.sample_id))


_Clock = tuple[Timeline, Mapping[str, float]]
"""Of a video: its frames' times, and clip -> when it starts, seconds."""


def _clock(dataset: Dataset, video_id: str) -> _Clock:
    clips = dataset.rows("clips", video_id, ["clip_id", "start_s"]).to_pylist()
    return timeline_of(dataset, video_id), {clip["clip_id"]: clip["start_s"] for clip in clips}


def _timed(row: dict[str, Any], clock_of: Callable[[str], _Clock]) -> dict[str, Any]:
    """A sample's row with its true span in seconds of the clip, also where the annotation counts frames alone."""
    if row["start_s"] is not None or row["start_frame"] is None:
        return row
    timeline, starts = clock_of(row["video_id"])
    begins = starts[row["clip_id"]]
    if row["start_frame"] >= len(timeline.times_s):  # the video is shorter than its annotation
        return row
    start_s, end_s = timeline.seconds_of(row["start_frame"], row["end_frame"])
    return {**row, "start_s": start_s - begins, "end_s": end_s - begins}


def _asked(row: dict[str, Any]) -> Asked:
    span = None if row["start_s"] is None or row["end_s"] is None else (row["start_s"], row["end_s"])
    return Asked(
        row["sample_id"],
        row["video_id"],
        row["clip_id"],
        Task(row["task"]),
        row["sentence"],
        span,
        tuple(row["options"] or ()),
        row["record"] or "",
    )


class Clips:
    """Frames of a dataset's clips."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        render = dataset.manifest.stages["frames"].params["render"]
        self._fps, self._quality = render["sampling"]["fps"], render["jpeg_quality"]
        self._videos: OrderedDict[tuple[str, tuple[int, int]], tuple[Video, ExitStack]] = OrderedDict()

    def marked(self, asked: Asked) -> VisualInput:
        """The clip with its markers, as it was rendered.

        Raises:
            ShownError: it has no frames; the reason is the dataset's own, such as `no_objects`.
        """
        clip = self.clip(asked)
        if clip["reason"]:
            raise ShownError(clip["reason"], f"clip '{asked.clip_id}' cannot be shown with markers")
        rows = self._dataset.frames(asked.video_id, asked.clip_id, ["clip_id", "time_s", "jpeg"])
        times, frames = rows.column("time_s").to_pylist(), rows.column("jpeg").to_pylist()
        return VisualInput(tuple(frames), (clip["width"], clip["height"]), clip["sample_fps"], tuple(times))

    def unmarked(self, asked: Asked) -> VisualInput:
        """The same frames at the same size without markers.

        Raises:
            ShownError: the source video is gone or broken, or the clip lies outside it.
        """
        clip, indices = self.clip(asked), self.indices(asked)
        size = (clip["width"], clip["height"])
        timeline = timeline_of(self._dataset, asked.video_id)
        times = tuple(float(timeline.times_s[index] - clip["start_s"]) for index in indices)
        return VisualInput(self._encoded(asked.video_id, indices, size), size, clip["sample_fps"], times)

    def image(self, asked: Asked, frame: int) -> VisualInput:
        """One native frame without markers, at its own size or the largest that is shown alone."""
        size = smart_resize(*self.size(asked), PIXEL_FACTOR**2, _IMAGE_PIXELS)
        return VisualInput(self._encoded(asked.video_id, [frame], size), size, medium="image")

    def clip(self, asked: Asked) -> dict[str, Any]:
        """The row of a sample's clip."""
        rows: list[dict[str, Any]] = self._dataset.rows("clips", asked.video_id).to_pylist()
        return next(row for row in rows if row["clip_id"] == asked.clip_id)

    def indices(self, asked: Asked) -> list[int]:
        """Native frames of a clip that are shown, ascending.

        Raises:
            ShownError: the clip lies outside its video.
        """
        clip = self.clip(asked)
        if clip["first_frame"] is None:
            raise ShownError(clip["reason"] or "outside_video", f"clip '{asked.clip_id}' lies outside its video")
        frames = range(clip["first_frame"], clip["last_frame"] + 1)
        return sample_frames(timeline_of(self._dataset, asked.video_id), frames, self._fps)

    def frames_between(self, asked: Asked, span_s: tuple[float, float]) -> range:
        """Native frames on screen in seconds of the clip, half-open; see `Timeline.frames_in`."""
        start_s = self.clip(asked)["start_s"]
        return timeline_of(self._dataset, asked.video_id).frames_in(start_s + span_s[0], start_s + span_s[1])

    def size(self, asked: Asked) -> tuple[int, int]:
        """(width, height) of the native frames."""
        [row] = self._dataset.rows("videos", asked.video_id, ["width", "height"]).to_pylist()
        return row["width"], row["height"]

    def _encoded(self, video_id: str, indices: Sequence[int], size: tuple[int, int]) -> tuple[bytes, ...]:
        try:
            return tuple(encode_jpeg(frame, self._quality) for frame in self._video(video_id, size).frames(indices))
        except VideoError as error:
            raise ShownError("source_unreadable", f"frames without markers come from the source video, and {error}") from error

    def _video(self, video_id: str, size: tuple[int, int]) -> Video:
        """The source video, decoded at a size; the last few stay open."""
        if (video_id, size) not in self._videos:
            with ExitStack() as stack:
                video = open_video(stack.enter_context(local_source(source_of(self._dataset, video_id))), size)
                self._videos[video_id, size] = video, stack.pop_all()
            while len(self._videos) > _OPEN_VIDEOS:
                self._videos.popitem(last=False)[1][1].close()
        return self._videos[video_id, size][0]
