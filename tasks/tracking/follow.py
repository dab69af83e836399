"""Following masks from frame to frame: each is carried along by the flow, then pixels are dealt out by their evidence.

Everything here is at the tracker's working size.
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
"""Weights of what a pixel's colour says for an object, and of what its being unlike the background says."""
REAPPEARANCE_SHARE, REAPPEARANCE_LIKENESS = 0.15, 0.5
"""A hidden object is found again by this share of its usual area, in colours that are this much its own."""


class Follower:
    """Carries the masks of several objects over successive frames, in either direction of time."""

    def __init__(self, first: PreparedFrame) -> None:
        self._view = first
        self._scenery = BackgroundModel(first)
        self.change: Change = np.full(first.gray.shape, np.nan, np.float32)
        """How unlike the background each pixel of the current frame is; see `Scenery.step`."""
        self.targets: dict[int, TrackedObject] = {}

    def add(self, masks: Mapping[int, Mask]) -> None:
        """Start to follow objects by their masks on the current frame; an empty mask is never found."""
        occupied = np.logical_or.reduce([*masks.values(), *(t.mask for t in self.targets.values())])
        for object_id, mask in masks.items():
            box = np.array(tight_box(mask) or (0, 0, 1, 1), np.float64)
            colours = part_histograms(self._view.bins, mask, box)
            around, area = surrounding_histogram(self._view.bins, box, occupied), max(float(np.count_nonzero(mask)), 1.0)
            hidden = 0 if mask.any() else 1
            self.targets[object_id] = TrackedObject(mask, initial_belief(mask), colours, around, area, box, np.zeros(2), hidden)
            self._scenery.forget(mask)

    def step(self, following: PreparedFrame) -> dict[int, Mask]:
        """Move on to the next frame; the masks there."""
        flow = optical_flow(self._view.gray, following.gray)
        before, self._view = self._view, following
        change = self.change = self._scenery.step(following, flow)
        best = np.zeros(following.gray.shape, np.float32)
        owner = np.full(following.gray.shape, -1, np.int32)
        seen = {object_id: target for object_id, target in self.targets.items() if target.hidden == 0}
        claimed = np.zeros(following.gray.shape, np.bool_)
        for target in seen.values():
            propagate(target, flow, self._scenery.camera, before, following)
            claimed |= target.belief > 0
        # A pixel that an object is carried into differs from the background because of that object, not of another.
        change = np.where(claimed, np.minimum(change, 0), change)
        for object_id, target in seen.items():
            self._claim(object_id, target, change, best, owner)
        for object_id, target in seen.items():
            target.settle(object_id, owner)
        occupied = owner >= 0
        for target in self.targets.values():
            if target.hidden:
                target.box += np.tile(target.speed, 2)
                self._seek(target, change, occupied)
        self._learn()
        self._scenery.learn(following, occupied)
        return {object_id: target.mask for object_id, target in self.targets.items()}

    def _claim(self, object_id: int, target: TrackedObject, change: Change, best: Change, owner: NDArray[np.int32]) -> None:
        """Add the frame's evidence; mark the pixels where it beats the background's and every object's before it."""
        import cv2

        window = window_around(target.box, owner.shape, REACH)
        if is_empty(window):  # its box has left the picture
            target.belief[:] = -SURE
            return
        carried = target.belief[window]
        colour = cv2.blur(target.colour_evidence(self._view.bins, window), (3, 3))
        unlike = self._unlike(target, change[window].copy(), carried, window)
        if target.partly:
            # The rest of it may come into sight anywhere in its box.
            inside = distance_penalty(target.box, window) == 0
            carried = np.where(inside, np.maximum(carried, -1.2), carried)
        belief = carried + COLOUR * colour + CHANGE * unlike - distance_penalty(target.box, window)
        part = clean_mask(belief > 0, 0.04 * target.area)
        part = connected_parts(part, target.belief[window] > 0, belief, target.partly)
        target.belief[:] = -SURE
        target.belief[window] = np.clip(belief, -SURE, SURE)
        here = part & (belief > best[window])
        best[window][here] = belief[here]
        owner[window][here] = object_id

    def _unlike(self, target: TrackedObject, change: Change, carried: Change, window: Window) -> Change:
        """What being unlike the background says for an object, in a window."""
        fresh = carried < -0.5
        for other in self.targets.values():
            if other is not target and other.partly:
                # What comes to light there is sooner the other's than more of this one.
                y, x = window_around(other.box, self._view.gray.shape, 0.0)
                zone = (
                    np.s_[max(y.start - window[0].start, 0) : max(y.stop - window[0].start, 0)],
                    np.s_[max(x.start - window[1].start, 0) : max(x.stop - window[1].start, 0)],
                )
                change[zone] = np.where(fresh[zone], np.minimum(change[zone], 0), change[zone])
        # Where no background is known yet an object keeps what it is carried into and takes nothing more.
        return np.where(np.isnan(change), np.where(fresh, np.float32(-1.5), np.float32(0)), change)

    def _seek(self, target: TrackedObject, change: Change, occupied: Mask) -> None:
        """Look for a hidden object about where it would be by now."""
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
        target.appear(window, reappeared)
        occupied[window] |= reappeared

    def _learn(self) -> None:
        """Refresh what is known of each object in sight: its surroundings always, itself only when it stands free."""
        seen = [t for t in self.targets.values() if t.hidden == 0]
        occupied = np.logical_or.reduce([t.mask for t in seen]) if seen else np.zeros(self._view.gray.shape, np.bool_)
        for target in seen:
            target.around = 0.8 * target.around + 0.2 * surrounding_histogram(self._view.bins, target.box, occupied)
            box = np.array(tight_box(target.mask), np.float64)
            # A box that has fallen behind what is seen of its object would cut it off.
            target.box = enclosing_box(target.box, box)
            if not any(other is not target and boxes_touch(other.box, box) for other in self.targets.values()):
                target.learn(self._view.bins, box)
