"""Data quality: detection losses, identity errors, and upper bounds of scores on a dataset (section 3.2, Table 6 left).

Results are per theta, the size filter below which an object gets no marker. Samples of lost videos count as failures: the
denominator is the number of planned samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.reader import Dataset
from storage.scan import Scan
from tasks.benchmarks.samples import Target
from tasks.masks.instances import box_ious
from tasks.metrics.arrays import StoredSample, StoredVideo, column_numbers, lost_samples, stored_videos

THETAS = (0.0, 1 / 4, 1 / 3, 1 / 2)
"""Values of Table 6."""
DETECTED_IOU = 0.5
"""Minimum IoU with the true box for a target to count as detected on a frame."""


@dataclass(frozen=True)
class ThetaQuality:
    """Quality with one size filter.

    Attributes:
        theta: minimum mask area as a fraction of the largest of the category.
        not_detected: samples with a target that no marked object matches on any frame of the true span.
        no_answer: samples without an answer ID.
        ceiling: m_vIoU, vIoU@0.3 and vIoU@0.5 of true time and answer ID with the boxes of marked objects only.
        ceiling_full: the same with all boxes of the mask database.
    """

    theta: float
    not_detected: int
    no_answer: int
    ceiling: tuple[float, float, float]
    ceiling_full: tuple[float, float, float]


@dataclass(frozen=True)
class Quality:
    """Data quality of a dataset.

    Attributes:
        samples: samples with true boxes, including those of lost videos.
        lost: samples of lost videos.
        ids: mean number of IDs that match a target over time; 1 is best.
        switches: mean number of changes of the matching ID.
        fragments: mean number of maximal runs with one matching ID.
        covered: mean share of a target's frames on which an object matches.
        thetas: quality per size filter.
    """

    samples: int
    lost: int
    ids: float
    switches: float
    fragments: float
    covered: float
    thetas: tuple[ThetaQuality, ...]

    @property
    def identity(self) -> str:
        """Summary of identity preservation in one sentence."""
        means = f"{self.ids:.2f} IDs, {self.switches:.2f} switches and {self.fragments:.2f} fragments a target"
        return f"{means}; an object matches it on {self.covered:.0%} of its frames. {self.samples} sentences, {self.lost} lost."


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
    lost = lost_samples(dataset)
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


@dataclass(frozen=True)
class _SampleQuality:
    """One sample: per theta (detected, answered, vIoU of marked boxes, vIoU of all boxes), and per target its identity."""

    thetas: list[tuple[bool, bool, float, float]]
    identity: list[tuple[float, float, float, float]]


def _sample_quality(
    video: StoredVideo,
    sample: StoredSample,
    ratios: NDArray[np.float64],
    rendered: NDArray[Any],
    thetas: Sequence[float],
) -> _SampleQuality:
    matches = [_match(video, sample, target, ratios) for target in sample.targets]
    rows = []
    for theta in thetas:
        each = [_at(match, theta, rendered) for match in matches]
        detected, answered = (all(e[i] for e in each) for i in (0, 1))
        rows.append((detected, answered, float(np.mean([e[2] for e in each])), float(np.mean([e[3] for e in each]))))
    return _SampleQuality(rows, [_identity(match) for match in matches])


def _match(video: StoredVideo, sample: StoredSample, target: Target, ratios: NDArray[np.float64]) -> _Match:
    assert sample.span is not None
    first, last = np.searchsorted(video.frames, [sample.span[0], sample.span[1] + 1])
    frames = video.frames[first:last]
    truth = target.filled
    at = np.minimum(np.searchsorted(truth.frames, frames), len(truth.frames) - 1)
    rows = np.flatnonzero(truth.frames[at] == frames)
    ious = box_ious(video.boxes[first:last][rows], truth.boxes[at[rows]])
    inside = (truth.frames >= sample.span[0]) & (truth.frames <= sample.span[1])
    return _Match(frames[rows], video.objects[first:last][rows], ratios[first:last][rows], ious, int(inside.sum()))


def _best(match: _Match, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Row of highest IoU on each frame among `rows`; the smaller ID on a tie."""
    order = rows[np.lexsort((match.objects[rows], -match.ious[rows], match.frames[rows]))]
    first = np.flatnonzero(np.diff(match.frames[order], prepend=-1))
    chosen: NDArray[np.intp] = order[first]
    return chosen


def _at(match: _Match, theta: float, rendered: NDArray[Any]) -> tuple[bool, bool, float, float]:
    """Whether the target is detected and answered at a theta, and the vIoU with marked boxes and with all boxes."""
    drawn = match.ratios >= theta
    detected = bool((match.ious[drawn] >= DETECTED_IOU).any())
    seen = np.flatnonzero(drawn & np.isin(match.frames, rendered))
    best = _best(match, seen)
    voters = match.objects[best[match.ious[best] > 0]]
    if not len(voters) or not match.true_frames:
        return detected, False, 0.0, 0.0
    ids, votes = np.unique(voters, return_counts=True)
    overlap = [match.ious[seen][match.objects[seen] == i].sum() for i in ids]
    winner = max(zip(votes, overlap, -ids, strict=True))[2] * -1
    mine = match.objects == winner
    full, rendered = match.ious[mine].sum(), match.ious[mine & drawn].sum()
    return detected, True, float(rendered / match.true_frames), float(full / match.true_frames)


def _identity(match: _Match) -> tuple[float, float, float, float]:
    """For one target, over all objects: matching IDs, switches, fragments, covered share."""
    best = _best(match, np.flatnonzero(match.ious >= DETECTED_IOU))
    ids, frames = match.objects[best], match.frames[best]
    if not len(ids):
        return 0.0, 0.0, 0.0, 0.0
    true = np.unique(match.frames)
    changed = ids[1:] != ids[:-1]
    gap = np.diff(np.searchsorted(true, frames)) > 1
    fragments = 1 + int((changed | gap).sum())
    return float(len(np.unique(ids))), float(changed.sum()), float(fragments), len(ids) / max(1, match.true_frames)


def _summary(looks: Sequence[_SampleQuality], lost: int, thetas: Sequence[float]) -> Quality:
    total = len(looks) + lost
    identity = np.array([row for look in looks for row in look.identity])
    summaries = []
    for number, theta in enumerate(thetas):
        rows = [look.thetas[number] for look in looks]
        failed = sum(not row[0] for row in rows) + lost, sum(not row[1] for row in rows) + lost
        summaries.append(
            ThetaQuality(theta, *failed, _scores((r[2] for r in rows), total), _scores((r[3] for r in rows), total))
        )
    ids, switches, fragments, covered = (float(value) for value in identity.mean(axis=0))
    return Quality(total, lost, ids, switches, fragments, covered, tuple(summaries))


def _scores(values: Iterable[float], total: int) -> tuple[float, float, float]:
    scores = np.array([*values])
    return tuple(float(value) / total for value in (scores.sum(), (scores > 0.3).sum(), (scores > 0.5).sum()))  # type: ignore[return-value]


def quality_rows(quality: Quality) -> list[dict[str, Any]]:
    """Table with one row per theta: shares and means in per cent."""
    return [
        {
            "theta": f"{t.theta:.3g}",
            "samples": quality.samples,
            "not detected": f"{t.not_detected} ({100 * t.not_detected / quality.samples:.1f} %)",
            "no answer": t.no_answer,
            **{f"ceiling {name}": f"{100 * v:.1f}" for name, v in zip(_SCORES, t.ceiling, strict=True)},
            **{f"full {name}": f"{100 * v:.1f}" for name, v in zip(_SCORES, t.ceiling_full, strict=True)},
        }
        for t in quality.thetas
    ]


_SCORES = ("m_vIoU", "vIoU@0.3", "vIoU@0.5")
