"""ID repair: a box for every frame of the predicted span, also where the predicted ID is missing.

The fallback credits an ID that may never have been visible, so scores are reported with and without repair. Repair uses all
masks of the mask database, marked or not (`docs/conventions.md`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np

from tasks.masks.instances import Box, box_iou
from tasks.metrics.tubes import Tube

MIN_IOU = 0.4
MIN_OVERLAP = 0.6
"""Minimum intersection over the area of the smaller box (Algorithm 1, line 21)."""

Frames = Mapping[int, Mapping[int, Box]]
"""Native frame -> object ID -> box."""


class RepairedTube(NamedTuple):
    """A repaired tube, with the number of frames whose box is the ID's own, corrected, or a fallback."""

    tube: Tube
    kept: int
    corrected: int
    fallback: int


class Choice(NamedTuple):
    """Object whose box is used on a frame: that of the ID, its successor, or the largest one."""

    object_id: int
    kind: Literal["kept", "corrected", "fallback"]


def choose_objects(boxes: Frames, object_id: int, span: tuple[int, int]) -> dict[int, Choice]:
    """Algorithm 1 of A.5: object to use on each frame of the predicted span that has any object.

    Line 16 reads the ID sets as lines 10, 23 and 28 have changed them, so that the box chosen on an earlier frame may be the
    reference of a later one.

    Args:
        boxes: native frame -> object ID -> box.
        object_id: the predicted ID.
        span: the predicted span, native frames, closed.
    """
    own = [frame for frame in range(span[0], span[1] + 1) if object_id in boxes.get(frame, {})]
    corrections: set[int] = set()
    chosen: dict[int, Choice] = {}
    previous: int | None = None
    for frame in range(span[0], span[1] + 1):
        candidates = boxes.get(frame)
        if not candidates:
            continue
        upcoming = bisect_right(own, frame)
        reference = _nearest_reference(frame, previous, own[upcoming] if upcoming < len(own) else None)
        box = None
        if reference is not None:
            box = boxes[reference][chosen[reference].object_id if reference in chosen else object_id]
        chosen[frame] = _choice(candidates, object_id, box, corrections)
        previous = frame
    return chosen


def _nearest_reference(frame: int, previous: int | None, upcoming: int | None) -> int | None:
    """The nearer of the last frame that has the ID by now and the next one that has it itself; the earlier on a tie."""
    if previous is None or upcoming is None:
        return upcoming if previous is None else previous
    return previous if frame - previous <= upcoming - frame else upcoming


def _choice(candidates: Mapping[int, Box], object_id: int, reference: Box | None, corrections: set[int]) -> Choice:
    """Choice on one frame; corrections persist (lines 4 to 29)."""
    if object_id in candidates:
        return Choice(object_id, "kept")
    known = sorted(corrections & set(candidates))
    if known:
        return Choice(known[0], "corrected")
    if reference is not None:
        best = max(candidates, key=lambda i: (box_iou(reference, candidates[i]), -i))
        if box_iou(reference, candidates[best]) >= MIN_IOU or overlap_of_smaller(reference, candidates[best]) >= MIN_OVERLAP:
            corrections.add(best)
            return Choice(best, "corrected")
    return Choice(_largest(candidates), "fallback")


def repair(boxes: Frames, object_id: int, span: tuple[int, int]) -> RepairedTube:
    """Repair a tube by Algorithm 1; frames without any object have no box.

    Args:
        boxes: native frame -> object ID -> box.
        object_id: predicted ID.
        span: predicted span, native frames, closed.
    """
    chosen = choose_objects(boxes, object_id, span)
    counts = Counter(choice.kind for choice in chosen.values())
    tube = _tube(span, {frame: boxes[frame][choice.object_id] for frame, choice in chosen.items()})
    return RepairedTube(tube, counts["kept"], counts["corrected"], counts["fallback"])


def overlap_of_smaller(a: Box, b: Box) -> float:
    """Intersection of two boxes over the area of the smaller one; 0 if that is empty.

    Args:
        a: (x1, y1, x2, y2) in pixels, half-open.
        b: (x1, y1, x2, y2) in pixels, half-open.
    """
    smaller = min(_area(a), _area(b))
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0.0) * max(height, 0.0) / smaller if smaller > 0 else 0.0


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _largest(candidates: Mapping[int, Box]) -> int:
    return max(candidates, key=lambda i: (_area(candidates[i]), -i))


def _nearest(frames: list[int], frame: int) -> int:
    """Nearest frame; the earlier one on a tie."""
    return min(frames, key=lambda f: (abs(f - frame), f))


def _tube(span: tuple[int, int], chosen: Mapping[int, Box]) -> Tube:
    frames = np.array(sorted(chosen), np.int64)
    return Tube(*span, frames, np.array([chosen[f] for f in frames.tolist()], np.float64).reshape(-1, 4))


def repair_released(boxes: Frames, object_id: int, span: tuple[int, int]) -> RepairedTube:
    """Repair of the released evaluate.py, which has no thresholds and no persistent corrections.

    `current` is the last box attributed to the ID. Where the ID is missing, the box with the highest IoU with `current` is
    used, otherwise the largest box of the frame; on a frame without objects, the last own box of the ID, if there is one, which
    becomes `current`. Before the first one, the box of the ID on the nearest frame of the span is the reference.

    Args:
        boxes: native frame -> object ID -> box.
        object_id: predicted ID.
        span: predicted span, native frames, closed.
    """
    inside = range(span[0], span[1] + 1)
    own = [frame for frame in inside if object_id in boxes.get(frame, {})]
    chosen: dict[int, Box] = {}
    current: Box | None = None
    fallback = 0
    for frame in inside:
        candidates = boxes.get(frame, {})
        if object_id in candidates:
            chosen[frame] = current = candidates[object_id]
        elif not own:
            if candidates:
                chosen[frame] = candidates[_largest(candidates)]
                fallback += 1
        elif current is None:
            reference = boxes[_nearest(own, frame)][object_id]
            chosen[frame] = current = _most_like(reference, candidates) or reference
        elif candidates:
            like = _most_like(current, candidates)
            fallback += like is None
            chosen[frame] = like or candidates[_largest(candidates)]
        elif own[0] < frame:
            chosen[frame] = current = boxes[max(f for f in own if f < frame)][object_id]
    return RepairedTube(_tube(span, chosen), len(own), len(chosen) - len(own) - fallback, fallback)


def _most_like(reference: Box, candidates: Mapping[int, Box]) -> Box | None:
    """Box with the highest positive IoU with `reference`; the first one on a tie."""
    best = max(candidates.values(), key=lambda box: box_iou(reference, box), default=None)
    return best if best is not None and box_iou(reference, best) > 0 else None
