"""Following masks from frame to frame: each is carried along by the flow, then pixels are dealt out by their evidence.

Everything here is at the tracker's working size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.masks import Mask, tight_box
from tasks.motion import Affine, Flow, flow_between, length, own_motion
from tasks.trackers.colour import Bins, Histogram, evidence, histogram, likeness
from tasks.trackers.scenery import Change, Scenery, difference
from tasks.trackers.view import View

Window = tuple[slice, slice]
SURE, KEEP = 3.0, 0.65
"""Bounds of belief, and how much of it is kept from frame to frame."""
COLOUR, CHANGE, MOTION = 0.7, 0.8, 1.5
"""Weights of the kinds of evidence: what colour a pixel has, how unlike the background it is, whether it moves with it."""
LOST_SHARE = 0.06
"""An object with less than this share of its usual area in sight is taken for hidden."""
FOUND_SHARE = 0.15
"""A hidden object must show at least this share of its usual area to be found again."""
FOUND_LIKENESS = 0.5
PARTLY_SHARE = 0.75
"""Below this share of its usual area an object is partly hidden, and parts of it may show up unconnected."""


@dataclass
class Target:
    """What is remembered of an object.

    Attributes:
        mask: its visible pixels on the last frame; empty while hidden.
        belief: float32 (height, width), log-odds that a pixel is the object's, within `SURE`; the mask is where it is
            positive, tidied. Kept so that weak evidence against a pixel adds up over frames.
        colours: histogram of its colours, learned while nobody touches it.
        around: histogram of the colours about it.
        area: usual number of visible pixels.
        box: where all of it is or would be, (x1, y1, x2, y2), float; moves on while it is hidden.
        speed: (x, y) pixels per frame.
        hidden: frames since it was last seen.
        share: part of its usual area that is in sight.
    """

    mask: Mask
    belief: Change
    colours: Histogram
    around: Histogram
    area: float
    box: NDArray[np.float64]
    speed: NDArray[np.float64]
    hidden: int = 0
    share: float = 1.0

    @property
    def partly(self) -> bool:
        """Whether it is hidden, or a good part of it."""
        return self.share < PARTLY_SHARE


class Follower:
    """Carries the masks of several objects over successive frames, in either direction of time."""

    def __init__(self, first: View) -> None:
        self._view = first
        self._scenery = Scenery(first)
        self.change: Change = np.full(first.gray.shape, np.nan, np.float32)
        """How unlike the background each pixel of the current frame is; see `Scenery.step`."""
        self.targets: dict[int, Target] = {}

    def add(self, masks: Mapping[int, Mask]) -> None:
        """Start to follow objects by their masks on the current frame; an empty mask is never found."""
        taken = np.logical_or.reduce([*masks.values(), *(t.mask for t in self.targets.values())])
        for object_id, mask in masks.items():
            box = np.array(tight_box(mask) or (0, 0, 1, 1), np.float64)
            colours = histogram(self._view.bins[mask])
            around = _around(self._view.bins, box, taken)
            self.targets[object_id] = Target(
                mask, believed(mask), colours, around, max(float(np.count_nonzero(mask)), 1.0), box, np.zeros(2)
            )
            self._scenery.forget(mask)

    def step(self, following: View) -> dict[int, Mask]:
        """Move on to the next frame; the masks there."""
        flow = flow_between(self._view.gray, following.gray)
        before, self._view = self._view, following
        change = self.change = self._scenery.step(following, flow)
        best = np.zeros(following.gray.shape, np.float32)
        owner = np.full(following.gray.shape, -1, np.int32)
        seen = {object_id: target for object_id, target in self.targets.items() if target.hidden == 0}
        held = np.zeros(following.gray.shape, np.bool_)
        for target in seen.values():
            carry(target, flow, self._scenery.camera, before, following)
            held |= target.belief > 0
        # A pixel that an object is carried into differs from the background because of that object, not of another.
        change = np.where(held, np.minimum(change, 0), change)
        for object_id, target in seen.items():
            self._claim(object_id, target, change, best, owner)
        for object_id, target in seen.items():
            _settle(object_id, target, owner)
        taken = owner >= 0
        for target in self.targets.values():
            if target.hidden:
                target.box += np.tile(target.speed, 2)
                self._seek(target, change, taken)
        self._learn()
        self._scenery.learn(following, taken)
        return {object_id: target.mask for object_id, target in self.targets.items()}

    def _claim(self, object_id: int, target: Target, change: Change, best: Change, owner: NDArray[np.int32]) -> None:
        """Add the frame's evidence; mark the pixels where it beats the background's and every object's before it."""
        import cv2

        window = _window(target.box, owner.shape, 0.25)
        carried = target.belief[window]
        colour = cv2.blur(evidence(target.colours, target.around)[self._view.bins[window]], (3, 3))
        unlike = self._unlike(target, change[window].copy(), carried, window)
        if target.partly:
            # The rest of it may come into sight anywhere in its box.
            inside = _outside(target.box, window) == 0
            carried = np.where(inside, np.maximum(carried, -1.2), carried)
        belief = carried + COLOUR * colour + CHANGE * unlike - _outside(target.box, window)
        part = tidy(belief > 0, 0.04 * target.area)
        part = _rooted(part, target.belief[window] > 0, belief, target.partly)
        target.belief[:] = -SURE
        target.belief[window] = np.clip(belief, -SURE, SURE)
        here = part & (belief > best[window])
        best[window][here] = belief[here]
        owner[window][here] = object_id

    def _unlike(self, target: Target, change: Change, carried: Change, window: Window) -> Change:
        """What being unlike the background says for an object, in a window."""
        fresh = carried < -0.5
        for other in self.targets.values():
            if other is not target and other.partly:
                # What comes to light there is sooner the other's than more of this one.
                y, x = _window(other.box, self._view.gray.shape, 0.0)
                zone = (
                    np.s_[max(y.start - window[0].start, 0) : max(y.stop - window[0].start, 0)],
                    np.s_[max(x.start - window[1].start, 0) : max(x.stop - window[1].start, 0)],
                )
                change[zone] = np.where(fresh[zone], np.minimum(change[zone], 0), change[zone])
        # Where no background is known yet an object keeps what it is carried into and takes nothing more.
        return np.where(np.isnan(change), np.where(fresh, np.float32(-1.5), np.float32(0)), change)

    def _seek(self, target: Target, change: Change, taken: Mask) -> None:
        """Look for a hidden object about where it would be by now."""
        target.hidden += 1
        target.speed *= 0.95
        window = _window(target.box, taken.shape, min(0.2 + 0.03 * target.hidden, 0.8))
        if window[0].start >= window[0].stop or window[1].start >= window[1].stop:
            return
        like = evidence(target.colours, target.around)[self._view.bins[window]] + np.nan_to_num(change[window], nan=-1.5) > 1.0
        found = tidy(like & ~taken[window], 0.05 * target.area)
        if np.count_nonzero(found) < FOUND_SHARE * target.area:
            return
        if likeness(histogram(self._view.bins[window][found]), target.colours) < FOUND_LIKENESS:
            return
        target.mask = np.zeros(taken.shape, np.bool_)
        target.mask[window] = found
        target.belief = believed(target.mask)
        taken[window] |= found
        target.hidden, target.share = 0, np.count_nonzero(found) / target.area
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
            if not free:
                # A box that has fallen behind what is seen of its object would cut it off.
                target.box = _box_about(target, box)
            if free:
                # Limbs stretch a box little by little; a stranger taken in would do so at once.
                grow = 0.02 * max(box[2:] - box[:2]) + 1
                target.box = np.concatenate(
                    [np.maximum(box[:2], target.box[:2] - grow), np.minimum(box[2:], target.box[2:] + grow)]
                )
                target.area += 0.1 * (area - target.area)
                target.colours = 0.95 * target.colours + 0.05 * histogram(self._view.bins[target.mask])


def tidy(mask: Mask, least: float) -> Mask:
    """A mask with small holes closed and without parts of fewer than `least` pixels."""
    import cv2

    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, cross)
    closed = cv2.morphologyEx(closed, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] >= least
    large[0] = False
    return np.asarray(large[labels], np.bool_)


def _rooted(mask: Mask, carried: Mask, score: Change, partly_hidden: bool) -> Mask:
    """The parts of a mask that the object was carried into; of a partly hidden one, convincing new parts too."""
    import cv2

    count, labels = cv2.connectedComponents(mask.view(np.uint8), connectivity=8)
    sizes = np.maximum(np.bincount(labels.ravel(), minlength=count), 1)
    keep = np.bincount(labels.ravel(), carried.ravel(), count) / sizes > 0.25
    if partly_hidden:
        keep |= np.bincount(labels.ravel(), score.ravel(), count) / sizes > 0.8
    keep[0] = False
    return np.asarray(keep[labels], np.bool_)


def _outside(box: NDArray[np.float64], window: Window) -> Change:
    """Evidence against pixels outside the box: one for each tenth of its longer side, float32 of the window's shape."""
    x = np.arange(window[1].start, window[1].stop) + 0.5
    y = np.arange(window[0].start, window[0].stop) + 0.5
    far_x = np.maximum(np.maximum(box[0] - x, x - box[2]), 0)
    far_y = np.maximum(np.maximum(box[1] - y, y - box[3]), 0)
    tenth = 0.1 * max(box[2] - box[0], box[3] - box[1]) + 1
    return np.asarray(np.maximum(far_y[:, None], far_x[None, :]) / tenth, np.float32)


def believed(mask: Mask) -> Change:
    """Firm belief in a mask."""
    return np.where(mask, np.float32(SURE), np.float32(-SURE))


def carry(target: Target, flow: Flow, camera: Affine, before: View, after: View) -> None:
    """Move an object's box and belief on to the next frame; belief fades where its colour does not arrive with it.

    The object's own flow is spread beyond its edges and belief fetched back along it. Fetched along the picture's
    flow, background that comes to light behind the object would be taken for it, and limbs for background.
    """
    import cv2

    step = np.median(flow[target.mask], axis=0).astype(np.float64)
    if target.partly:
        # Flow near what hides it is that one's flow: trust its own speed from before.
        step = 0.95 * target.speed + 0.05 * step
    target.speed = 0.7 * target.speed + 0.3 * step
    window = _window(target.box, target.mask.shape, 0.25)
    target.box = target.box + np.tile(step, 2)
    mask = target.mask[window].astype(np.float32)
    own = spread(flow[window], mask, step)
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]].astype(np.float32)
    from_x, from_y = x - own[..., 0], y - own[..., 1]
    fetched = cv2.remap(target.belief[window], from_x, from_y, cv2.INTER_LINEAR, borderValue=-SURE)
    colours = cv2.remap(before.rgb[window], from_x, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    arrives = np.clip(1.6 - difference(colours, after.rgb[window]) / 40, 0, 1)
    apart = length(own_motion(own, camera, window[1].start, window[0].start))
    usual = float(np.median(apart[mask > 0])) if mask.any() else 0.0
    # Nothing is said while the whole object moves with the camera.
    stays = np.clip(1.5 - 3 * apart / usual, 0, 1) if usual > 0.4 else np.float32(0)
    belief = KEEP * cv2.GaussianBlur(np.where(fetched > 0, fetched * (2 * arrives - 1), fetched), (0, 0), 1.0)
    target.belief[window] = belief - MOTION * stays


def spread(flow: Flow, mask: Change, otherwise: NDArray[np.float64]) -> Flow:
    """Flow of the inside of a mask, carried on beyond its edges; far from it the flow `otherwise`, (x, y)."""
    import cv2

    weight = cv2.erode(mask, np.ones((3, 3), np.uint8)) + np.float32(0.05) * mask
    total = cv2.GaussianBlur(weight, (0, 0), 3.0)[..., None] + np.float32(1e-4)
    smooth = cv2.GaussianBlur(flow * weight[..., None], (0, 0), 3.0)
    return np.asarray((smooth + np.float32(1e-4) * otherwise.astype(np.float32)) / total, np.float32)


def _settle(object_id: int, target: Target, owner: NDArray[np.int32]) -> None:
    """Turn the pixels an object was given into its mask, without specks, and let it forget those that others got."""
    mask = np.zeros(owner.shape, np.bool_)
    window = _window(target.box, owner.shape, 0.25)
    given = owner[window]
    mask[window] = tidy(given == object_id, 0.03 * target.area) & ((given == object_id) | (given < 0))
    owner[(owner == object_id) & ~mask] = -1
    target.share = np.count_nonzero(mask) / target.area
    if target.share < LOST_SHARE:
        target.hidden, target.share = 1, 0.0
        owner[mask] = -1
        mask[:] = False
    target.mask = mask
    target.belief[window] = np.where(
        mask[window], np.maximum(target.belief[window], 0.5), np.minimum(target.belief[window], -0.5)
    )


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
    """The object's box, moved no further than it takes to hold the part of it that is in sight."""
    size = target.box[2:] - target.box[:2]
    room = np.sort([part[2:] - size, part[:2]], axis=0)
    corner = np.clip(target.box[:2], room[0], room[1])
    return np.concatenate([corner, corner + size])
