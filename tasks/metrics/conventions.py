"""Spatio-temporal metrics as the paper and as each published evaluator defines them.

All use the IoU of boxes without "+1". They differ in the frames that count, whether the last frame of a span belongs to it,
whether the hull of two disjoint spans includes the gap between them, and whether a threshold must be reached or exceeded.
`docs/conventions.md` scores one answer by all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from tasks.metrics.tubes import Case, Overlap, Scores, Tube, overlap

ScoreT_co = TypeVar("ScoreT_co", bound=Callable[..., Any], covariant=True)


class Rule(NamedTuple, Generic[ScoreT_co]):
    """A scoring rule.

    Attributes:
        name: name in results.
        about: description, one phrase.
        strict: whether a score must exceed a threshold, or only reach it.
        score: computes the score.
    """

    name: str
    about: str
    strict: bool
    score: ScoreT_co

    def reaches(self, score: float, threshold: float) -> bool:
        """Whether a score passes a threshold.

        Args:
            score: score in [0, 1].
            threshold: threshold in [0, 1].
        """
        return score > threshold if self.strict else score >= threshold


Convention = Rule[Callable[[Case], Scores]]
"""Rule that scores a case with a prediction."""


def paper(case: Case) -> Scores:
    """Section 3.3: sum of IoU over the intersection of both spans, divided by the size of their union; closed native spans."""
    truth, predicted = case.truth, _predicted(case)
    inter = max(0, min(truth.end, predicted.end) - max(truth.start, predicted.start) + 1)
    union = truth.length + predicted.length - inter
    shared = case.overlap.total(max(truth.start, predicted.start), min(truth.end, predicted.end)) if inter else 0.0
    return Scores(inter / union, shared / union, case.overlap.total(truth.start, truth.end) / truth.length)


def hcstvg_official(case: Case) -> Scores:
    """eval_hcvg.py: sum of IoU over frames where both have a box, divided by the size of the closed hull of both spans."""
    truth, predicted = case.truth, _predicted(case)
    hull = max(truth.end, predicted.end) - min(truth.start, predicted.start) + 1
    # Boxes outside both spans count too, in the published script; here no score passes 1.
    return Scores(min(1.0, len(case.overlap.frames) / hull), min(1.0, float(case.overlap.ious.sum()) / hull))


def tubedetr(case: Case) -> Scores:
    """TubeDETR: half-open spans; boxes at 5 frames per second, missing ones taken from the nearest frame."""
    return _tubedetr(case, five_fps(case.frame_count))


def tubedetr_vidstg(case: Case) -> Scores:
    """TubeDETR on VidSTG: as `tubedetr`, on 5 frames a second of the clip at its real rate, at most 200 of them."""
    first, last = case.clip or (0, case.frame_count - 1)
    return _tubedetr(case, five_fps_of_clip(first, last + 1, case.fps))


def _tubedetr(case: Case, grid: NDArray[np.int64]) -> Scores:
    truth, predicted = case.truth, _predicted(case)
    (a, b), (c, d) = (truth.start, truth.end + 1), (predicted.start, predicted.end + 1)
    t_iou = max(0, min(b, d) - max(a, c)) / (max(b, d) - min(a, c))
    shared = overlap(truth, resample_nearest(predicted, grid))
    joined = int(((grid >= min(a, c)) & (grid < max(b, d))).sum())
    given = int(((grid >= a) & (grid < b)).sum())
    inter = shared.total(max(a, c), min(b, d) - 1) if min(b, d) > max(a, c) else 0.0
    return Scores(t_iou, inter / joined if joined else 0.0, shared.total(a, b - 1) / given if given else 0.0)


def five_fps(frame_count: int) -> NDArray[np.int64]:
    """TubeDETR's frames of a video that is assumed to last 20 s: the first of each fifth of a second, without the last."""
    ticks = np.floor(np.arange(frame_count - 1) * (5 / (frame_count / 20))).astype(np.int64)
    return np.flatnonzero(np.diff(ticks, prepend=-1) > 0).astype(np.int64)


MAX_GRID = 200
"""Maximum number of frames on which TubeDETR scores a clip of VidSTG."""


def five_fps_of_clip(start: int, stop: int, fps: float) -> NDArray[np.int64]:
    """TubeDETR's frames of a clip of VidSTG: the first of each fifth of a second, evenly thinned to `MAX_GRID`.

    Args:
        start: first native frame of the clip.
        stop: native frame after its last.
        fps: native frames per second.
    """
    ticks = np.floor(np.arange(start, stop) * (5 / fps)).astype(np.int64)
    grid = start + np.flatnonzero(np.diff(ticks, prepend=-1) > 0)
    return grid[np.arange(MAX_GRID) * len(grid) // MAX_GRID] if len(grid) > MAX_GRID else grid


def resample_nearest(tube: Tube, frames: NDArray[np.int64]) -> Tube:
    """Tube with a box on each of `frames`, that of its nearest frame, the earlier one on a tie.

    Args:
        tube: tube of one object.
        frames: int64 (n,), native frame indices, ascending.
    """
    if not len(tube.frames):
        return tube
    right = np.clip(np.searchsorted(tube.frames, frames), 1, max(1, len(tube.frames) - 1))
    left = right - 1
    right = np.minimum(right, len(tube.frames) - 1)
    closer = np.where(np.abs(tube.frames[right] - frames) < np.abs(frames - tube.frames[left]), right, left)
    return Tube(tube.start, tube.end, frames, tube.boxes[closer])


def stcat_cgstvg_tastvg(case: Case) -> Scores:
    """STCAT, CG-STVG, TA-STVG: the true span loses its last frame, the predicted one does not; native frames, hull."""
    truth, predicted = case.truth, _predicted(case)
    first, stop = max(truth.start, predicted.start), min(truth.end, predicted.end + 1)
    hull = max(truth.end, predicted.end + 1) - min(truth.start, predicted.start)
    inter = max(0, stop - first)
    shared = case.overlap.total(first, stop - 1) if inter else 0.0
    true_boxes = int(((truth.frames >= truth.start) & (truth.frames <= truth.end)).sum())
    given = case.overlap.total(truth.start, truth.end) / true_boxes if true_boxes else 0.0
    return Scores(inter / hull, shared / hull, given)


def stvg_r1_released(case: Case) -> Scores:
    """The released evaluate.py: spans in seconds, converted to frames by truncation.

    True boxes are one frame late, since HC-STVG's 1-based `st_frame` is read as 0-based.
    """
    truth, predicted = case.truth, _predicted(case)
    late = Tube(truth.start, truth.end, truth.frames + 1, truth.boxes)
    true_s, predicted_s = span_seconds(case, truth, case.truth_s), span_seconds(case, predicted, case.predicted_s)
    return Scores(hull_iou(true_s, predicted_s), released_v_iou(true_s, predicted_s, case.fps, overlap(late, predicted)))


def span_seconds(case: Case, tube: Tube, stated: tuple[float, float] | None) -> tuple[float, float]:
    """Span in seconds: as annotated, otherwise the start times of its first and last frame, as in HC-STVG.

    Args:
        case: case with frame rate.
        tube: tube whose span is converted.
        stated: span in seconds of the video, if annotated.
    """
    return stated or (tube.start / case.fps, tube.end / case.fps)


def hull_iou(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Intersection over hull of two intervals; 0 if the hull has no length or an interval is reversed.

    Args:
        a: (start, end) of the first interval.
        b: (start, end) of the second interval.
    """
    hull = max(a[1], b[1]) - min(a[0], b[0])
    return max(0.0, min(a[1], b[1]) - max(a[0], b[0])) / hull if hull > 0 else 0.0


def released_v_iou(true_s: tuple[float, float], predicted_s: tuple[float, float], fps: float, shared: Overlap) -> float:
    """VIoU of the released evaluate.py: closed frame ranges by truncation; a single common frame counts as none.

    Args:
        true_s: true span, seconds of the video.
        predicted_s: predicted span, seconds of the video.
        fps: native frames per second.
        shared: IoU on frames where both have a box.
    """
    (a, b), (c, d) = ((int(max(-_FAR, min(t * fps, _FAR))) for t in span) for span in (true_s, predicted_s))
    if max(a, c) >= min(b, d):
        return 0.0
    return shared.total(max(a, c), min(b, d)) / (max(b, d) - min(a, c) + 1)


_FAR = 2.0**53
"""Largest magnitude of a frame number that a predicted time stands for."""


def st_align(case: Case) -> Scores:
    """LLaVA-ST: sum of IoU over 100 frames of the clip where both have a box, divided by those where either has one.

    Times are relative to the clip, rounded to 3 decimals.
    """
    first, last = case.clip or (0, case.frame_count - 1)
    truth, predicted = case.truth, _predicted(case)
    grid = np.unique([first + round(i / 99 * (last - first)) for i in range(100)])
    keys, others = (np.intersect1d(tube.frames, grid) for tube in (truth, predicted))
    joined = len(np.union1d(keys, others))
    shared = case.overlap.ious[np.isin(case.overlap.frames, np.intersect1d(keys, others))].sum()
    spans = [tuple(round((f - first) / max(1, last - first), 3) for f in (tube.start, tube.end)) for tube in (truth, predicted)]
    (a, b), (c, d) = spans
    return Scores(hull_iou((a, b), (c, d)), float(shared) / joined if joined else 0.0)


def _predicted(case: Case) -> Tube:
    assert case.predicted is not None, "missing predictions are not scored by conventions"
    return case.predicted


DEFAULT = "paper"
CONVENTIONS: Mapping[str, Convention] = {
    c.name: c
    for c in (
        Convention("paper", "closed spans in native frames, their set union, boxes on every frame", True, paper),
        Convention("hcstvg_official", "HC-STVG's eval_hcvg.py: closed hull, tIoU counts boxes", True, hcstvg_official),
        Convention("tubedetr", "TubeDETR: half-open spans, boxes at 5 frames a second", True, tubedetr),
        Convention("tubedetr_vidstg", "TubeDETR on VidSTG: 5 frames a second of the clip, at most 200", True, tubedetr_vidstg),
        Convention("stcat_cgstvg_tastvg", "STCAT, CG-STVG, TA-STVG: true span loses its last frame", True, stcat_cgstvg_tastvg),
        Convention("stvg_r1_released", "evaluate.py of STVG-R1: seconds, true boxes one frame late", False, stvg_r1_released),
        Convention("st_align", "LLaVA-ST: 100 frames of the clip, frames where either has a box", False, st_align),
    )
}
"""Name -> convention."""
