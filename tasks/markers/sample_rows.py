"""Rows of the samples table: each sentence with its true span, its targets and the answer that the vote gives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from storage.rows import SampleRow, TargetRow
from tasks.benchmarks.samples import Sample, Target
from tasks.markers.config import AnswerRule
from tasks.markers.drawing import Candidate
from tasks.markers.vote import vote_sample
from tasks.video.timeline import Timeline


def sample_row(
    sample: Sample,
    video_id: str,
    clip_start_s: float,
    timeline: Timeline,
    drawn: Mapping[int, Sequence[Candidate]],
    reason: str,
    rule: AnswerRule,
) -> SampleRow:
    """Row of one sample.

    Args:
        sample: annotated sample.
        video_id: ID of its video.
        clip_start_s: start of its clip, seconds of the video.
        timeline: frame times of the video.
        drawn: native frame -> objects with a marker on it; the frames that vote.
        reason: why the clip has no frames; empty if it has.
        rule: which frames vote.
    """
    span = span_frames(sample, clip_start_s, timeline)
    answer = vote_sample(sample, span, drawn, rule)
    beyond = span[1] >= len(timeline.times_s) if span else _starts_beyond(sample, clip_start_s, timeline)
    return {
        "sample_id": sample.sample_id,
        "clip_id": sample.clip_id,
        "video_id": video_id,
        "task": sample.task.value,
        "group": sample.group,
        "sentence": sample.sentence,
        "start_s": sample.start_s,
        "end_s": sample.end_s,
        "start_frame": span[0] if span else None,
        "end_frame": span[1] if span else None,
        "targets": [_target_row(target) for target in sample.targets],
        "answer_ids": answer.object_ids,
        "vote_share": answer.vote_share,
        "mean_iou": answer.mean_iou,
        "votes": answer.votes,
        "reason": reason or ("truth_beyond_video" if beyond and answer.reason else answer.reason),
        "options": sample.options,
        "answer": sample.answer,
        "record": sample.record,
    }


def _starts_beyond(sample: Sample, clip_start_s: float, timeline: Timeline) -> bool:
    return sample.start_s is not None and clip_start_s + sample.start_s >= timeline.duration_s


def span_frames(sample: Sample, clip_start_s: float, timeline: Timeline) -> tuple[int, int] | None:
    """True span in native frames, closed: as annotated, or the frames on screen in the annotated seconds.

    Args:
        sample: annotated sample.
        clip_start_s: start of its clip, seconds of the video.
        timeline: frame times of the video.
    """
    if sample.start_frame is not None and sample.end_frame is not None:
        return sample.start_frame, sample.end_frame
    if sample.start_s is None or sample.end_s is None:
        return None
    frames = timeline.frames_in(clip_start_s + sample.start_s, clip_start_s + sample.end_s)
    return (frames[0], frames[-1]) if frames else None


def _target_row(target: Target) -> TargetRow:
    return {"frames": target.frames.tolist(), "boxes": target.boxes.tolist(), "counts": list(target.counts)}
