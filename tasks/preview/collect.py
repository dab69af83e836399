"""Data for the card of one video; reads the rows of that video and decodes four of its frames."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from storage.reader import Dataset
from storage.rows import ClipRow, OutcomeRow, SampleRow, TrackedObjectRow, VideoRow
from storage.schema import SAMPLES
from tasks.preview.pictures import PagePicture
from tasks.preview.strips import Strip, clip_strips
from tasks.preview.thumbs import thumbnails
from tasks.preview.timeline import AxisSpan, Tick, axis_percent, axis_span, ticks, visible_spans
from tasks.video.timeline import Timeline

MAX_LANES = 24
MAX_SAMPLES = 24
_MASK_COLUMNS = ["frame_index", "object_id", "anchor_x", "anchor_y", "rle_counts"]

SAMPLE_COLUMNS = [name for name in SAMPLES.names if name != "targets"]
"""Columns of a sample without its targets, which are large."""


class ObjectLane(NamedTuple):
    """Timeline row of one object; `discovery_x` is the time of its discovery in per cent of the axis."""

    object_id: int
    category: str
    score: float
    discovery_x: float
    discovery_s: float
    frames: int
    stretches: Sequence[AxisSpan]


class SampleView(NamedTuple):
    """A sentence with its stored row, its true span on the video's axis if it has one, and the categories of its answers."""

    number: int
    row: SampleRow
    span: AxisSpan | None
    categories: dict[int, str]


@dataclass(frozen=True)
class VideoCard:
    """Data of one video on the page.

    Attributes:
        row: its row of the videos table.
        ending: its row of the outcomes table.
        thumbs: native frames with masks, or stored frames if the source is missing (`thumbs_stored`).
        lanes: timeline rows by ID; the `hidden_lanes` least visible objects are omitted.
        strips: clips with rendered frames; `hidden_clips` more are omitted.
        samples: sentences; `hidden_samples` more are omitted.
        tags: values of the page's filter: status, reasons, `no answer`, `answered`.
    """

    row: VideoRow
    ending: OutcomeRow
    thumbs: Sequence[PagePicture]
    thumbs_stored: bool
    lanes: Sequence[ObjectLane]
    hidden_lanes: int
    strips: Sequence[Strip]
    hidden_clips: int
    samples: Sequence[SampleView]
    hidden_samples: int
    ticks: Sequence[Tick]
    tags: Sequence[str]

    @property
    def parts(self) -> bool:
        """Whether the clips are sections of the video rather than the whole video."""
        return len(self.strips) > 1 or any(strip.stretch.width < 99.5 for strip in self.strips)


def collect_card(dataset: Dataset, video_id: str, ending: OutcomeRow, strip_bytes: int) -> VideoCard:
    """Collect the data of one video.

    Args:
        dataset: a published dataset.
        video_id: ID of a video with masks.
        ending: its row of the outcomes table.
        strip_bytes: maximum JPEG bytes of its film strips.
    """
    row: VideoRow = dataset.rows("videos", video_id).to_pylist()[0]
    timeline = Timeline(np.asarray(row["times_s"]), row["duration_s"])
    masks = dataset.rows("masks", video_id, _MASK_COLUMNS)
    # A video has masks but no rendered frames if the later stage failed.
    rendered = video_id in dataset.manifest.stages["frames"].videos
    clips: list[ClipRow] = dataset.rows("clips", video_id).to_pylist() if rendered else []
    samples: list[SampleRow] = dataset.rows("samples", video_id, SAMPLE_COLUMNS).to_pylist() if rendered else []
    frames = dataset.rows("frames", video_id) if rendered else None
    strips, hidden_clips = clip_strips(clips, frames, timeline, strip_bytes)
    thumbs, stored = thumbnails(dataset.source(row["video_id"]), row, masks, frames, timeline)
    answers = {i for s in samples for i in s["answer_ids"]}
    lanes = _lanes(row["objects"], masks, timeline, answers)
    views = _sample_views(samples[:MAX_SAMPLES], {c["clip_id"]: c["start_s"] for c in clips}, row)
    return VideoCard(
        row=row,
        ending=ending,
        thumbs=thumbs,
        thumbs_stored=stored,
        lanes=lanes,
        hidden_lanes=len(row["objects"]) - len(lanes),
        strips=strips,
        hidden_clips=hidden_clips,
        samples=views,
        hidden_samples=len(samples) - len(views),
        ticks=ticks(timeline.duration_s),
        tags=_tags(ending, clips, samples),
    )


def _tags(ending: OutcomeRow, clips: Iterable[ClipRow], samples: Sequence[SampleRow]) -> list[str]:
    tags = {ending["status"], ending["reason"], *(clip["reason"] for clip in clips), *(s["reason"] for s in samples)}
    tags |= {"answered" if s["answer_ids"] else "no answer" for s in samples}
    return sorted(tags - {""})


def _lanes(objects: Sequence[TrackedObjectRow], masks: pa.Table, timeline: Timeline, answers: set[int]) -> list[ObjectLane]:
    ids, frames = (masks.column(name).to_numpy().astype(np.int64) for name in ("object_id", "frame_index"))
    kept = sorted(objects, key=lambda o: (o["object_id"] not in answers, -o["frames"]))[:MAX_LANES]
    return [
        ObjectLane(
            object_id=o["object_id"],
            category=o["category"],
            score=o["score"],
            discovery_x=axis_percent(float(timeline.times_s[o["found_at"]]), timeline.duration_s),
            discovery_s=float(timeline.times_s[o["found_at"]]),
            frames=o["frames"],
            stretches=visible_spans(frames[ids == o["object_id"]], timeline),
        )
        for o in sorted(kept, key=lambda o: int(o["object_id"]))
    ]


def _sample_views(samples: Sequence[SampleRow], starts: dict[str, float], row: VideoRow) -> list[SampleView]:
    categories = {o["object_id"]: o["category"] for o in row["objects"]}
    views = []
    for number, sample in enumerate(samples, start=1):
        start_s, span = starts[sample["clip_id"]], None
        if sample["start_s"] is not None and sample["end_s"] is not None:
            span = axis_span(start_s + sample["start_s"], start_s + sample["end_s"], row["duration_s"])
        views.append(SampleView(number, sample, span, {i: categories.get(i, "") for i in sample["answer_ids"]}))
    return views
