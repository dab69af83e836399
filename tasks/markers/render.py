"""Rendering of clips for a model: frames are sampled, resized, marked and compressed, and sentences answered on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from storage.rle import decode_counts
from storage.rows import ClipRow, FrameRow, MarkerRow, SampleRow, VideoRow
from storage.schema import CLIPS, FRAMES, SAMPLES
from tasks.benchmarks.samples import Clip, Sample, VideoJob
from tasks.markers.config import Anchor, FramesConfig
from tasks.markers.drawing import Candidate, digit_height_px, draw_markers, filter_by_size, place_markers
from tasks.markers.released import anchor_point
from tasks.markers.sample_rows import sample_row
from tasks.video.jpeg import encode_jpeg
from tasks.video.reader import Source, open_video
from tasks.video.sampling import model_size, sample_frames
from tasks.video.timeline import Timeline


@dataclass(frozen=True)
class TrackedVideo:
    """Objects of a video from the mask stage: native pixels, 0-based frame indices."""

    source: Source
    width: int
    height: int
    timeline: Timeline
    candidates: Mapping[int, Sequence[Candidate]]


@dataclass
class RenderedVideo:
    """Rows of the tables clips, frames and samples of one video."""

    clips: list[ClipRow] = field(default_factory=list)
    frames: list[FrameRow] = field(default_factory=list)
    samples: list[SampleRow] = field(default_factory=list)

    def tables(self) -> dict[str, pa.Table]:
        """The rows as Arrow tables, by table name."""
        return {
            "clips": pa.Table.from_pylist(self.clips, schema=CLIPS),
            "frames": pa.Table.from_pylist(self.frames, schema=FRAMES),
            "samples": pa.Table.from_pylist(self.samples, schema=SAMPLES),
        }


def load_tracked_video(source: Source, video: pa.Table, masks: pa.Table, anchor: Anchor = "centroid") -> TrackedVideo:
    """Build a `TrackedVideo` from rows of the tables videos and masks; only the released anchor decodes masks.

    Args:
        source: location of the video.
        video: row of the video in the videos table.
        masks: rows of the video in the masks table.
        anchor: `centroid`, or `released` for the released code's position.
    """
    row: VideoRow = video.to_pylist()[0]
    if anchor == "released":
        masks = _released_anchors(masks, row["height"], row["width"])
    columns = ["object_id", "category", "area", "anchor_x", "anchor_y", "x1", "y1", "x2", "y2"]
    values = [masks.column(name).to_pylist() for name in columns]
    candidates: dict[int, list[Candidate]] = {}
    for index, object_id, category, area, ax, ay, *box in zip(masks.column("frame_index").to_pylist(), *values, strict=True):
        candidates.setdefault(index, []).append(
            Candidate(object_id=object_id, category=category, area=area, anchor=(ax, ay), box=tuple(box))
        )
    timeline = Timeline(np.asarray(row["times_s"]), row["duration_s"])
    return TrackedVideo(source=source, width=row["width"], height=row["height"], timeline=timeline, candidates=candidates)


def _released_anchors(masks: pa.Table, height: int, width: int) -> pa.Table:
    codes = masks.column("rle_counts").to_pylist()
    points = [anchor_point(decode_counts(code, height, width)) for code in codes]
    for number, name in enumerate(("anchor_x", "anchor_y")):
        column = pa.array([point[number] for point in points], pa.int32())
        masks = masks.set_column(masks.schema.get_field_index(name), name, column)
    return masks


def render_video(job: VideoJob, tracked: TrackedVideo, config: FramesConfig) -> RenderedVideo:
    """Render every clip of a video and answer every sentence.

    Args:
        job: video with its clips and samples.
        tracked: objects of the video by native frame.
        config: sampling, markers and image quality.

    Raises:
        VideoError: the video cannot be decoded.
    """
    rendered = RenderedVideo()
    for clip in sorted(job.clips, key=lambda c: c.clip_id):
        samples = [s for s in job.samples if s.clip_id == clip.clip_id]
        _render_clip(clip, samples, tracked, config, rendered)
    return rendered


def _render_clip(
    clip: Clip, samples: Sequence[Sample], tracked: TrackedVideo, config: FramesConfig, out: RenderedVideo
) -> None:
    frames = clip.range_in(tracked.timeline)
    start_s = _start_s(clip, frames, tracked.timeline)
    if not frames:
        reason, drawn = "outside_video", {}
        out.clips.append(_clip_row(clip, frames, (), (0, 0), 0.0, reason, tracked))
    else:
        indices = sample_frames(tracked.timeline, frames, config.sampling.fps)
        size = model_size(tracked.width, tracked.height, len(indices), config.sampling)
        height_px = digit_height_px(config.markers.size, max(size))
        drawn = {f: _numbered(tracked, f, config) for f in indices}
        reason = _refusal(samples, height_px, tracked, config)
        out.clips.append(_clip_row(clip, frames, indices, size, height_px, reason, tracked))
        if not reason:
            out.frames += _frame_rows(clip, start_s, indices, drawn, size, height_px, tracked, config)
    ordered = sorted(samples, key=lambda s: s.sample_id)
    if config.rendering.answer_rule == "released" and not reason:
        drawn = {f: _numbered(tracked, f, config) for f in tracked.candidates}
    voting: Mapping[int, Sequence[Candidate]] = {} if reason else drawn
    video_id, timeline, rule = tracked.source.video_id, tracked.timeline, config.rendering.answer_rule
    out.samples += [sample_row(sample, video_id, start_s, timeline, voting, reason, rule) for sample in ordered]


def _numbered(tracked: TrackedVideo, frame: int, config: FramesConfig) -> list[Candidate]:
    return filter_by_size(tracked.candidates.get(frame, ()), config.markers.theta, config.markers.filter)


def _refusal(samples: Sequence[Sample], height_px: float, tracked: TrackedVideo, config: FramesConfig) -> str:
    """Reason why a clip has no frames: its video has no objects, or its markers would not be legible."""
    if samples and not any(sample.task.needs_objects for sample in samples):
        return ""
    if not tracked.candidates:
        return "no_objects"
    return "marker_illegible" if height_px < config.markers.legible_from_px else ""


def _start_s(clip: Clip, frames: range, timeline: Timeline) -> float:
    return float(timeline.times_s[frames[0]]) if clip.frames is not None and frames else clip.start_s


def _clip_row(
    clip: Clip,
    frames: range,
    indices: Sequence[int],
    size: tuple[int, int],
    height_px: float,
    reason: str,
    tracked: TrackedVideo,
) -> ClipRow:
    end_s = tracked.timeline.duration_s if clip.end_s is None else clip.end_s
    if clip.frames is not None and frames:
        end_s = tracked.timeline.end_of(frames[-1])
    return {
        "clip_id": clip.clip_id,
        "video_id": tracked.source.video_id,
        "start_s": _start_s(clip, frames, tracked.timeline),
        "end_s": end_s,
        "first_frame": frames[0] if frames else None,
        "last_frame": frames[-1] if frames else None,
        "frame_count": 0 if reason else len(indices),
        "sample_fps": len(indices) / len(frames) * tracked.timeline.fps if frames else 0.0,
        "width": size[0],
        "height": size[1],
        "digit_height_px": height_px,
        "reason": reason,
    }


def _frame_rows(
    clip: Clip,
    start_s: float,
    indices: Sequence[int],
    drawn: Mapping[int, Sequence[Candidate]],
    size: tuple[int, int],
    height_px: float,
    tracked: TrackedVideo,
    config: FramesConfig,
) -> list[FrameRow]:
    images = open_video(tracked.source, size).frames(indices)
    scale = size[0] / tracked.width, size[1] / tracked.height
    rows: list[FrameRow] = []
    for position, (index, image) in enumerate(zip(indices, images, strict=True)):
        markers = place_markers(drawn[index], scale, size, height_px, config.markers.style, config.markers.anchor)
        draw_markers(image, markers, height_px, config.markers.anchor)
        rows.append(
            {
                "clip_id": clip.clip_id,
                "video_id": tracked.source.video_id,
                "position": position,
                "frame_index": index,
                "time_s": float(tracked.timeline.times_s[index] - start_s),
                "markers": [MarkerRow(object_id=m.object_id, label=m.label, x=m.x, y=m.y) for m in markers],
                "jpeg": encode_jpeg(image, config.rendering.jpeg_quality),
            }
        )
    return rows
