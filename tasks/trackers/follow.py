"""Following masks from frame to frame: each is carried along by the flow, then pixels are dealt out by their evidence.

Everything here is at the tracker's working size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.masks import Mask, tight_box
from tasks.motion import Flow, flow_between
from tasks.trackers.colour import Bins, Histogram, evidence, histogram, likeness
from tasks.trackers.scenery import Change, Scenery
from tasks.trackers.view import View

Window = tuple[slice, slice]
PRIOR, COLOUR, CHANGE = 2.0, 0.8, 0.8
"""Weights of the three kinds of evidence: where the mask was, what colour a pixel has, how unlike the background it is."""
LOST_SHARE = 0.06
"""An object with less than this share of its usual area in sight is taken for hidden."""
FOUND_SHARE = 0.15
"""A hidden object must show at least this share of its usual area to be found again."""
FOUND_LIKENESS = 0.5


@dataclass
class Target:
    """What is remembered of an object.

    Attributes:
        mask: its visible pixels on the last frame; empty while hidden.
        colours: histogram of its colours, learned while nobody touches it.
        around: histogram of the colours about it.
        area: usual number of visible pixels.
        box: where all of it is or would be, (x1, y1, x2, y2), float; moves on while it is hidden.
        speed: (x, y) pixels per frame.
        hidden: frames since it was last seen.
    """

    mask: Mask
    colours: Histogram
    around: Histogram
    area: float
    box: NDArray[np.float64]
    speed: NDArray[np.float64]
    hidden: int = 0


class Follower:
    """Carries the masks of several objects over successive frames, in either direction of time."""

    def __init__(self, first: View) -> None:
        self._view = first
        self._scenery = Scenery(first)
        self.targets: dict[int, Target] = {}

    def add(self, masks: Mapping[int, Mask]) -> None:
        """Start to follow objects by their masks on the current frame; an empty mask is never found."""
        taken = np.logical_or.reduce([*masks.values(), *(t.mask for t in self.targets.values())])
        for object_id, mask in masks.items():
            box = np.array(tight_box(mask) or (0, 0, 1, 1), np.float64)
            colours = histogram(self._view.bins[mask])
            around = _around(self._view.bins, box, taken)
            self.targets[object_id] = Target(mask, colours, around, float(np.count_nonzero(mask)), box, np.zeros(2))
            self._scenery.forget(mask)

    def step(self, following: View) -> dict[int, Mask]:
        """Move on to the next frame; the masks there."""
        flow = flow_between(self._view.gray, following.gray)
        before, self._view = self._view, following
        change = self._scenery.step(following, flow)
        best = np.zeros(following.gray.shape, np.float32)
        owner = np.full(following.gray.shape, -1, np.int32)
        for object_id, target in self.targets.items():
            if target.hidden == 0:
                self._claim(object_id, target, _carried(target, flow, before, following), change, best, owner)
            else:
                target.box += np.tile(target.speed, 2)
        for object_id, target in self.targets.items():
            if target.hidden == 0:
                self._settle(object_id, target, owner)
        taken = owner >= 0
        for target in self.targets.values():
            if target.hidden:
                self._seek(target, change, taken)
        self._learn()
        self._scenery.learn(following, taken)
        return {object_id: target.mask for object_id, target in self.targets.items()}

    def _claim(
        self, object_id: int, target: Target, carried: Change, change: Change, best: Change, owner: NDArray[np.int32]
    ) -> None:
        """Mark the pixels for which this object's evidence beats the background's and every object's before it."""
        import cv2

        window = _window(target.box, owner.shape, 0.2)
        prior = cv2.GaussianBlur(carried[window], (0, 0), 1.5)
        colour = cv2.blur(evidence(target.colours, target.around)[self._view.bins[window]], (3, 3))
        score = PRIOR * (2 * prior - 1) + COLOUR * colour + CHANGE * change[window]
        here = score > best[window]
        best[window][here] = score[here]
        owner[window][here] = object_id

    def _settle(self, object_id: int, target: Target, owner: NDArray[np.int32]) -> None:
        """Turn the pixels an object was given into its mask, without specks."""
        mask = np.zeros(owner.shape, np.bool_)
        window = _window(target.box, owner.shape, 0.2)
        mask[window] = tidy(owner[window] == object_id, 0.04 * target.area)
        owner[(owner == object_id) & ~mask] = -1
        area = np.count_nonzero(mask)
        if area < max(LOST_SHARE * target.area, 6):
            target.hidden = 1
            owner[mask] = -1
            mask[:] = False
        target.mask = mask

    def _seek(self, target: Target, change: Change, taken: Mask) -> None:
        """Look for a hidden object about where it would be by now."""
        target.hidden += 1
        target.speed *= 0.95
        window = _window(target.box, taken.shape, min(0.2 + 0.03 * target.hidden, 0.8))
        if window[0].start >= window[0].stop or window[1].start >= window[1].stop:
            return
        like = evidence(target.colours, target.around)[self._view.bins[window]] + change[window] > 1.0
        found = tidy(like & ~taken[window], 0.05 * target.area)
        if np.count_nonzero(found) < FOUND_SHARE * target.area:
            return
        if likeness(histogram(self._view.bins[window][found]), target.colours) < FOUND_LIKENESS:
            return
        target.mask = np.zeros(taken.shape, np.bool_)
        target.mask[window] = found
        taken[window] |= found
        target.hidden, target.speed = 0, np.zeros(2)
        target.box = _box_about(target, np.array(tight_box(target.mask), np.float64))

    def _learn(self) -> None:
        """Refresh what is known of each object in sight: its surroundings always, itself only when it stands free."""
        seen = [t for t in self.targets.values() if t.hidden == 0]
        taken = np.logical_or.reduce([t.mask for t in seen]) if seen else np.zeros(self._view.gray.shape, np.bool_)
        for target in seen:
            target.around = 0.8 * target.around + 0.2 * _around(self._view.bins, target.box, taken)
            box = np.array(tight_box(target.mask), np.float64)
            free = not any(t is not target and _touch(t.box, box) for t in self.targets.values())
            area = np.count_nonzero(target.mask)
            if free:
                target.box = box
                target.area += 0.1 * (area - target.area)
                target.colours = 0.95 * target.colours + 0.05 * histogram(self._view.bins[target.mask])


def tidy(mask: Mask, least: float) -> Mask:
    """A mask with small holes closed and without parts of fewer than `least` pixels."""
    import cv2

    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    closed = cv2.morphologyEx(closed, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] >= least
    large[0] = False
    return np.asarray(large[labels], np.bool_)


def _carried(target: Target, flow: Flow, before: View, after: View) -> Change:
    """Where the object's pixels go, each counting as far as its colour arrives with it; float32 (h, w), 0 to 1.

    Pixels are sent forward, not fetched: what the object uncovers behind it moves, to optical flow, as the object does.
    """
    import cv2

    height, width = target.mask.shape
    y, x = np.nonzero(target.mask)
    moved = flow[y, x]
    step = np.median(moved, axis=0).astype(np.float64)
    target.speed = 0.7 * target.speed + 0.3 * step
    target.box = target.box + np.tile(step, 2)
    to_x, to_y = np.rint(x + moved[:, 0]).astype(int), np.rint(y + moved[:, 1]).astype(int)
    inside = (to_x >= 0) & (to_x < width) & (to_y >= 0) & (to_y < height)
    x, y, to_x, to_y = x[inside], y[inside], to_x[inside], to_y[inside]
    differ = np.abs(after.rgb[to_y, to_x].astype(np.int16) - before.rgb[y, x]).max(axis=1)
    carried = np.zeros((height, width), np.float32)
    carried[to_y, to_x] = np.clip(1.6 - differ / 50, 0, 1)
    return np.asarray(cv2.morphologyEx(carried, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)), np.float32)


def _window(box: NDArray[np.float64], shape: Sequence[int], margin: float) -> Window:
    """The part of a picture within a box and a margin, given as a share of the box's longer side."""
    pad = margin * max(box[2] - box[0], box[3] - box[1]) + 3
    x1, y1 = (max(0, int(v - pad)) for v in box[:2])
    x2, y2 = (max(0, min(size, int(v + pad) + 1)) for v, size in zip(box[2:], (shape[1], shape[0]), strict=True))
    return slice(min(y1, y2), y2), slice(min(x1, x2), x2)


def _around(bins: Bins, box: NDArray[np.float64], taken: Mask) -> Histogram:
    window = _window(box, bins.shape, 0.25)
    return histogram(bins[window][~taken[window]])


def _touch(a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
    return bool((a[:2] < b[2:] + 2).all() and (b[:2] < a[2:] + 2).all())


def _box_about(target: Target, part: NDArray[np.float64]) -> NDArray[np.float64]:
    """A box of the object's size that holds the part of it that has come into sight, as near as may be to the old one."""
    size = np.maximum(target.box[2:] - target.box[:2], part[2:] - part[:2])
    corner = np.clip(target.box[:2], part[2:] - size, part[:2])
    return np.concatenate([corner, corner + size])
