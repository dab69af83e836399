"""Data quality: detection losses, identity errors, and upper bounds of scores on a dataset (section 3.2, Table 6 left).

Results are per theta, the size filter below which an object gets no marker. Samples of lost videos count as failures: the
denominator is the number of planned samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.reader import Dataset
from storage.scan import Scan
from tasks.benchmarks.samples import Target
from tasks.masks.instances import box_ious
from tasks.metrics.arrays import StoredSample, StoredVideo, column_numbers, lost_samples, stored_videos
from tasks.metrics.quality_report import Ceiling, Quality, ThetaQuality

THETAS = (0.0, 1 / 4, 1 / 3, 1 / 2)
"""Values of Table 6."""
DETECTED_IOU = 0.5
"""Minimum IoU with the true box for a target to count as detected on a frame."""


def measure_quality(dataset: Dataset, thetas: Sequence[float] = THETAS) -> Quality | None:
    """Measure a dataset without decoding masks or images; None if no sample has true boxes.

    Args:
        dataset: a published dataset.
        thetas: size filters to report, each in [0, 1].
    """
    looks: list[_SampleQuality] = []
    with Scan(dataset, "frames", ["clip_id", "frame_index"], _rendered_frames) as scan:
        for video in stored_videos(dataset, ("area", "category")):
            (clips, frames), at = scan.find(video.video_id)
            rendered = clips[at.start : at.stop], frames[at.start : at.stop]
            looks += _sample_qualities(video, *rendered, thetas)
    if not looks:
        return None
    lost = sum(lost_samples(dataset).values())
    return _summary(looks, lost, thetas)


def _rendered_frames(rows: pa.Table) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """Clip and native frame of each rendered frame."""
    return np.asarray(rows.column("clip_id").to_pylist(), np.str_), column_numbers(rows, "frame_index")


def _sample_qualities(
    video: StoredVideo, clips: NDArray[np.str_], frames: NDArray[np.int64], thetas: Sequence[float]
) -> Iterator[_SampleQuality]:
    ratios = _ratios(video)
    for sample in video.samples:
        if sample.span is not None and any(len(target.frames) for target in sample.targets):
            yield _sample_quality(video, sample, ratios, frames[clips == sample.clip_id], thetas)


def _ratios(video: StoredVideo) -> NDArray[np.float64]:
    """Area of each row relative to the largest of its category on its frame."""
    area, category = video.extra["area"].astype(np.float64), video.extra["category"]
    if not len(area):
        return area
    _, group = np.unique(video.frames * (int(category.max()) + 1) + category, return_inverse=True)
    largest = np.zeros(int(group.max()) + 1)
    np.maximum.at(largest, group, area)
    shares: NDArray[np.float64] = area / largest[group]
    return shares


@dataclass(frozen=True)
class _Match:
    """Instances on the frames of a target within the span, with their IoU with its box."""

    frames: NDArray[np.int64]
    objects: NDArray[np.int64]
    ratios: NDArray[np.float64]
    ious: NDArray[np.float64]
    true_frames: int


class _BestAnswer(NamedTuple):
    """The best possible answer at a theta: vIoU with numbered objects alone, and with all masks."""

    detected: bool
    has_id: bool
    v_iou_drawn: float = 0.0
    v_iou_full: float = 0.0


class _Identity(NamedTuple):
    """Of one target, over all objects: IDs that match, switches, fragments, covered share."""

    ids: float = 0.0
    switches: float = 0.0
    fragments: float = 0.0
    covered: float = 0.0


@dataclass(frozen=True)
class _SampleQuality:
    """The best answer to one sample at each theta, and the identity of each of its targets."""

    answers: list[_BestAnswer]
    identity: list[_Identity]


def _sample_quality(
    video: StoredVideo,
    sample: StoredSample,
    ratios: NDArray[np.float64],
    rendered: NDArray[Any],
    thetas: Sequence[float],
) -> _SampleQuality:
    matches = [_match(video, sample, target, ratios) for target in sample.targets]
    answers = [_over_targets([_best_answer(match, theta, rendered) for match in matches]) for theta in thetas]
    return _SampleQuality(answers, [_identity(match) for match in matches])


def _over_targets(answers: Sequence[_BestAnswer]) -> _BestAnswer:
    """The answer to a sample: every target must be detected and have an ID, vIoU is the mean."""
    return _BestAnswer(
        all(answer.detected for answer in answers),
        all(answer.has_id for answer in answers),
        float(np.mean([answer.v_iou_drawn for answer in answers])),
        float(np.mean([answer.v_iou_full for answer in answers])),
    )


def _match(video: StoredVideo, sample: StoredSample, target: Target, ratios: NDArray[np.float64]) -> _Match:
    assert sample.span is not None
    first, last = np.searchsorted(video.frames, [sample.span[0], sample.span[1] + 1])
    frames = video.frames[first:last]
    truth = target.filled
    at = np.minimum(np.searchsorted(truth.frames, frames), len(truth.frames) - 1)
    rows = np.flatnonzero(truth.frames[at] == frames)
    ious = box_ious(video.boxes[first:last][rows], truth.boxes[at[rows]])
    inside = (truth.frames >= sample.span[0]) & (truth.frames <= sample.span[1])
    return _Match(
        frames=frames[rows],
        objects=video.objects[first:last][rows],
        ratios=ratios[first:last][rows],
        ious=ious,
        true_frames=int(inside.sum()),
    )


def _best(match: _Match, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Row of highest IoU on each frame among `rows`; the smaller ID on a tie."""
    order = rows[np.lexsort((match.objects[rows], -match.ious[rows], match.frames[rows]))]
    first = np.flatnonzero(np.diff(match.frames[order], prepend=-1))
    chosen: NDArray[np.intp] = order[first]
    return chosen


def _best_answer(match: _Match, theta: float, rendered: NDArray[Any]) -> _BestAnswer:
    drawn = match.ratios >= theta
    detected = bool((match.ious[drawn] >= DETECTED_IOU).any())
    seen = np.flatnonzero(drawn & np.isin(match.frames, rendered))
    best = _best(match, seen)
    voters = match.objects[best[match.ious[best] > 0]]
    if not len(voters) or not match.true_frames:
        return _BestAnswer(detected, has_id=False)
    ids, votes = np.unique(voters, return_counts=True)
    overlap = [match.ious[seen][match.objects[seen] == i].sum() for i in ids]
    winner = max(zip(votes, overlap, -ids, strict=True))[2] * -1
    mine = match.objects == winner
    full, numbered = match.ious[mine].sum(), match.ious[mine & drawn].sum()
    return _BestAnswer(detected, True, float(numbered / match.true_frames), float(full / match.true_frames))


def _identity(match: _Match) -> _Identity:
    best = _best(match, np.flatnonzero(match.ious >= DETECTED_IOU))
    ids, frames = match.objects[best], match.frames[best]
    if not len(ids):
        return _Identity()
    true = np.unique(match.frames)
    changed = ids[1:] != ids[:-1]
    gap = np.diff(np.searchsorted(true, frames)) > 1
    fragments = 1 + int((changed | gap).sum())
    covered = len(ids) / max(1, match.true_frames)
    return _Identity(float(len(np.unique(ids))), float(changed.sum()), float(fragments), covered)


def _summary(samples: Sequence[_SampleQuality], lost: int, thetas: Sequence[float]) -> Quality:
    total = len(samples) + lost
    identity = np.array([row for sample in samples for row in sample.identity]).mean(axis=0)
    summaries = []
    for number, theta in enumerate(thetas):
        answers = [sample.answers[number] for sample in samples]
        summaries.append(
            ThetaQuality(
                theta=theta,
                not_detected=sum(not answer.detected for answer in answers) + lost,
                no_answer=sum(not answer.has_id for answer in answers) + lost,
                ceiling=_ceiling((answer.v_iou_drawn for answer in answers), total),
                ceiling_full=_ceiling((answer.v_iou_full for answer in answers), total),
            )
        )
    means = _Identity(*(float(value) for value in identity))
    return Quality(samples=total, lost=lost, thetas=tuple(summaries), **means._asdict())


def _ceiling(v_ious: Iterable[float], total: int) -> Ceiling:
    scores = np.array([*v_ious])
    return Ceiling(*(float(value) / total for value in (scores.sum(), (scores > 0.3).sum(), (scores > 0.5).sum())))
