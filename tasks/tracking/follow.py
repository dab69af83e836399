"""Propagation of masks from frame to frame by optical flow, with pixels assigned to objects by their evidence.

All images and masks are at the tracker's working size.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tasks.masks.instances import Mask, tight_box
from tasks.tracking.background import BackgroundModel, Change
from tasks.tracking.colour import histogram, histogram_overlap, part_histograms, surrounding_histogram
from tasks.tracking.prepared_frame import PreparedFrame
from tasks.tracking.regions import (
    Window,
    boxes_touch,
    clean_mask,
    connected_parts,
    distance_penalty,
    enclosing_box,
    is_empty,
    window_around,
)
from tasks.tracking.tracked_object import REACH, SURE, TrackedObject, initial_belief, propagate
from tasks.video.motion import optical_flow

COLOUR, CHANGE = 0.9, 0.8
"""Weights of the colour evidence and of the difference from the background."""
REAPPEARANCE_SHARE, REAPPEARANCE_LIKENESS = 0.15, 0.5
"""Minimum share of its typical area, and minimum colour overlap, at which a hidden object is recognised again."""


class Follower:
    """Propagates the masks of several objects over successive frames, in either direction of time."""

    def __init__(self, first: PreparedFrame) -> None:
        self._view = first
        self._background = BackgroundModel(first)
        self.change: Change = np.full(first.gray.shape, np.nan, np.float32)
        """Difference from the background of each pixel of the current frame; see `BackgroundModel.step`."""
        self.targets: dict[int, TrackedObject] = {}

    def add(self, masks: Mapping[int, Mask]) -> None:
        """Start to track objects by their masks on the current frame; an object with an empty mask stays hidden."""
        occupied = np.logical_or.reduce([*masks.values(), *(t.mask for t in self.targets.values())])
        for object_id, mask in masks.items():
            box = np.array(tight_box(mask) or (0, 0, 1, 1), np.float64)
            colours = part_histograms(self._view.bins, mask, box)
            around, area = surrounding_histogram(self._view.bins, box, occupied), max(float(np.count_nonzero(mask)), 1.0)
            hidden = 0 if mask.any() else 1
            self.targets[object_id] = TrackedObject(
                mask=mask,
                belief=initial_belief(mask),
                colours=colours,
                around=around,
                area=area,
                box=box,
                speed=np.zeros(2),
                hidden=hidden,
            )
            self._background.exclude(mask)

    def step(self, following: PreparedFrame) -> dict[int, Mask]:
        """Advance to the next frame and return the masks there."""
        flow = optical_flow(self._view.gray, following.gray)
        before, self._view = self._view, following
        change = self.change = self._background.step(following, flow)
        best = np.zeros(following.gray.shape, np.float32)
        owner = np.full(following.gray.shape, -1, np.int32)
        seen = {object_id: target for object_id, target in self.targets.items() if target.hidden == 0}
        claimed = np.zeros(following.gray.shape, np.bool_)
        for target in seen.values():
            propagate(target, flow, self._background.camera, before, following)
            claimed |= target.belief > 0
        # At a pixel that one object is propagated to, the difference from the background is no evidence for another object.
        change = np.where(claimed, np.minimum(change, 0), change)
        for object_id, target in seen.items():
            self._claim(object_id, target, change, best, owner)
        for object_id, target in seen.items():
            target.assign_pixels(object_id, owner)
        occupied = owner >= 0
        for target in self.targets.values():
            if target.hidden:
                target.box += np.tile(target.speed, 2)
                self._search(target, change, occupied)
        self._update()
        self._background.update(following, occupied)
        return {object_id: target.mask for object_id, target in self.targets.items()}

    def _claim(self, object_id: int, target: TrackedObject, change: Change, best: Change, owner: NDArray[np.int32]) -> None:
        """Add the frame's evidence, and assign pixels where it exceeds that of background and earlier objects."""
        import cv2

        window = window_around(target.box, owner.shape, REACH)
        if is_empty(window):  # its box has left the picture
            target.belief[:] = -SURE
            return
        propagated = target.belief[window]
        colour = cv2.blur(target.colour_evidence(self._view.bins, window), (3, 3))
        unlike = self._unlike(target, change[window].copy(), propagated, window)
        if target.is_partly_hidden:
            # The hidden rest may appear anywhere in its box.
            inside = distance_penalty(target.box, window) == 0
            propagated = np.where(inside, np.maximum(propagated, -1.2), propagated)
        belief = propagated + COLOUR * colour + CHANGE * unlike - distance_penalty(target.box, window)
        part = clean_mask(belief > 0, 0.04 * target.area)
        part = connected_parts(part, target.belief[window] > 0, belief, target.is_partly_hidden)
        target.belief[:] = -SURE
        target.belief[window] = np.clip(belief, -SURE, SURE)
        here = part & (belief > best[window])
        best[window][here] = belief[here]
        owner[window][here] = object_id

    def _unlike(self, target: TrackedObject, change: Change, propagated: Change, window: Window) -> Change:
        """Evidence for an object from differences from the background, in a window."""
        fresh = propagated < -0.5
        for other in self.targets.values():
            if other is not target and other.is_partly_hidden:
                # Pixels that become visible there more likely belong to the other object.
                y, x = window_around(other.box, self._view.gray.shape, 0.0)
                zone = (
                    np.s_[max(y.start - window[0].start, 0) : max(y.stop - window[0].start, 0)],
                    np.s_[max(x.start - window[1].start, 0) : max(x.stop - window[1].start, 0)],
                )
                change[zone] = np.where(fresh[zone], np.minimum(change[zone], 0), change[zone])
        # Where the background is unknown, an object keeps its propagated pixels and gains none.
        return np.where(np.isnan(change), np.where(fresh, np.float32(-1.5), np.float32(0)), change)

    def _search(self, target: TrackedObject, change: Change, occupied: Mask) -> None:
        """Search for a hidden object near its predicted position."""
        target.hidden += 1
        target.speed *= 0.95
        window = window_around(target.box, occupied.shape, min(0.2 + 0.03 * target.hidden, 0.8))
        if is_empty(window):
            return
        like = target.colour_evidence(self._view.bins, window) + np.nan_to_num(change[window], nan=-1.5) > 1.0
        reappeared = clean_mask(like & ~occupied[window], 0.05 * target.area)
        if np.count_nonzero(reappeared) < REAPPEARANCE_SHARE * target.area:
            return
        if (
            histogram_overlap(histogram(self._view.bins[window][reappeared]), target.colours.mean(axis=0))
            < REAPPEARANCE_LIKENESS
        ):
            return
        target.reappear(window, reappeared)
        occupied[window] |= reappeared

    def _update(self) -> None:
        """Update the models of visible objects: their surroundings always, their appearance only if no other object is near."""
        seen = [t for t in self.targets.values() if t.hidden == 0]
        occupied = np.logical_or.reduce([t.mask for t in seen]) if seen else np.zeros(self._view.gray.shape, np.bool_)
        for target in seen:
            target.around = 0.8 * target.around + 0.2 * surrounding_histogram(self._view.bins, target.box, occupied)
            box = np.array(tight_box(target.mask), np.float64)
            # A box that lags behind the visible part would clip it.
            target.box = enclosing_box(target.box, box)
            if not any(other is not target and boxes_touch(other.box, box) for other in self.targets.values()):
                target.update(self._view.bins, box)
