"""State of one tracked object in the flow tracker, and its propagation to the next frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.masks.instances import Mask, tight_box
from tasks.tracking.background import Change, colour_difference
from tasks.tracking.colour import Bins, Histogram, log_likelihood_ratio, part_histograms, part_of_rows
from tasks.tracking.prepared_frame import PreparedFrame
from tasks.tracking.regions import Area, Window, clean_mask, enclosing_box, is_empty, window_around
from tasks.video.motion import Affine, Flow, flow_magnitude, residual_flow

SURE, KEEP = 3.0, 0.65
"""Bound of the belief, and the factor by which it decays from frame to frame."""
MOTION = 1.5
"""Weight of the evidence against pixels that move with the camera while the object moves."""
LOST_SHARE, PARTLY_SHARE = 0.06, 0.75
"""Visible shares of its typical area below which an object counts as hidden, and as partly hidden."""
REACH = 0.25
"""Margin of the search window around the box, as a share of its longer side."""


@dataclass
class TrackedObject:
    """State of a tracked object.

    Attributes:
        mask: visible pixels on the last frame; empty while hidden.
        belief: float32 (height, width), log-odds that a pixel belongs to the object, within `SURE`. The mask is the cleaned
            positive part. It is carried over frames so that weak evidence against a pixel accumulates.
        colours: colour histograms of the object's parts, updated while no other object touches it.
        around: colour histogram of its surroundings.
        area: typical number of visible pixels.
        box: box of the whole object, hidden parts included, (x1, y1, x2, y2), float; it keeps moving while hidden.
        speed: (x, y) pixels per frame.
        hidden: frames since the object was last visible.
        share: visible share of the typical area.
    """

    mask: Mask
    belief: Change
    colours: Histogram
    around: Histogram
    area: float
    box: Area
    speed: Area
    hidden: int = 0
    share: float = 1.0

    @property
    def is_partly_hidden(self) -> bool:
        """Whether the object is hidden completely or for a considerable part."""
        return self.share < PARTLY_SHARE

    def colour_evidence(self, bins: Bins, window: Window) -> Change:
        """Log-likelihood ratio of the colour of each pixel of a window, float32 of the window's shape.

        Args:
            bins: colour bin of each pixel, int (height, width).
            window: rows and columns of the image.
        """
        return np.asarray(
            log_likelihood_ratio(self.colours, self.around)[part_of_rows(self.box, window)[:, None], bins[window]], np.float32
        )

    def assign_pixels(self, object_id: int, owner: NDArray[np.int32]) -> None:
        """Set the mask from the pixels assigned to the object; belief in pixels assigned to others is removed.

        Args:
            object_id: the object's ID in `owner`.
            owner: int32 (height, width), owner of each pixel, -1 for none; pixels that the object gives up are set to -1.
        """
        window = window_around(self.box, owner.shape, REACH)
        owners, self.mask = owner[window], np.zeros(owner.shape, np.bool_)
        if is_empty(window):
            self.hidden, self.share = 1, 0.0
            return
        mask = clean_mask(owners == object_id, 0.03 * self.area) & ((owners == object_id) | (owners < 0))
        self.share = np.count_nonzero(mask) / self.area
        if self.share < LOST_SHARE:
            self.hidden, self.share = 1, 0.0
            mask[:] = False
        owners[(owners == object_id) & ~mask] = -1
        self.mask[window] = mask
        belief = self.belief[window]
        self.belief[window] = np.where(mask, np.maximum(belief, 0.5), np.minimum(belief, -0.5))

    def reappear(self, window: Window, visible: Mask) -> None:
        """Make the object visible again with a mask in a window.

        Args:
            window: rows and columns of the image.
            visible: bool of the window's shape, pixels where the object is visible.
        """
        self.mask = np.zeros_like(self.mask)
        self.mask[window] = visible
        self.belief = initial_belief(self.mask)
        self.box = enclosing_box(self.box, np.array(tight_box(self.mask), np.float64))
        self.hidden, self.share = 0, np.count_nonzero(visible) / self.area

    def update(self, bins: Bins, box: Area) -> None:
        """Update size and colours while no other object touches this one.

        Args:
            bins: colour bin of each pixel, int (height, width).
            box: tight box of the object's mask, pixels, half-open.
        """
        # Limbs extend a box gradually; a mask that leaks into another object would extend it at once.
        grow = 0.02 * max(box[2:] - box[:2]) + 1
        self.box = np.concatenate([np.maximum(box[:2], self.box[:2] - grow), np.minimum(box[2:], self.box[2:] + grow)])
        self.area += 0.1 * (np.count_nonzero(self.mask) - self.area)
        self.colours = 0.95 * self.colours + 0.05 * part_histograms(bins, self.mask, self.box)


def initial_belief(mask: Mask) -> Change:
    """Maximum belief inside a mask, minimum belief outside."""
    return np.where(mask, np.float32(SURE), np.float32(-SURE))


def propagate(target: TrackedObject, flow: Flow, camera: Affine, before: PreparedFrame, after: PreparedFrame) -> None:
    """Move box and belief of an object to the next frame; belief fades where the colour does not match there.

    The object's flow is extrapolated beyond its edges, and the belief is warped with it. Warped with the flow of the image,
    uncovered background behind the object would become part of it, and limbs would become background.

    Args:
        target: object to propagate.
        flow: flow from `before` to `after`, float32 (height, width, 2) in pixels, x first.
        camera: camera motion, affine (2, 3).
        before: the current frame.
        after: the next frame.
    """
    import cv2

    step = np.median(flow[target.mask], axis=0).astype(np.float64)
    if target.is_partly_hidden:
        # Flow near the occluding object is that object's flow: rely on the earlier speed.
        step = 0.95 * target.speed + 0.05 * step
    target.speed = 0.7 * target.speed + 0.3 * step
    window = window_around(target.box, target.mask.shape, REACH)
    target.box = target.box + np.tile(step, 2)
    mask = target.mask[window].astype(np.float32)
    own = extrapolate_flow(flow[window], mask, step)
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]].astype(np.float32)
    from_x, from_y = x - own[..., 0], y - own[..., 1]
    fetched = cv2.remap(target.belief[window], from_x, from_y, cv2.INTER_LINEAR, borderValue=-SURE)
    colours = cv2.remap(before.rgb[window], from_x, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    arrives = np.clip(1.6 - colour_difference(colours, after.rgb[window]) / 40, 0, 1)
    apart = flow_magnitude(residual_flow(own, camera, window[1].start, window[0].start))
    typical = float(np.median(apart[mask > 0])) if mask.any() else 0.0
    # No evidence while the whole object moves with the camera.
    stays = np.clip(1.5 - 3 * apart / typical, 0, 1) if typical > 0.4 else np.float32(0)
    belief = KEEP * cv2.GaussianBlur(np.where(fetched > 0, fetched * (2 * arrives - 1), fetched), (0, 0), 1.0)
    target.belief[window] = belief - MOTION * stays


def extrapolate_flow(flow: Flow, mask: Change, otherwise: Area) -> Flow:
    """Flow of the inside of a mask, extrapolated beyond its edges; far from it the flow `otherwise`, (x, y).

    Args:
        flow: optical flow, float32 (height, width, 2) in pixels, x first.
        mask: belief per pixel, float32 (height, width).
        otherwise: (x, y) flow in pixels far from the mask.
    """
    import cv2

    weight = cv2.erode(mask, np.ones((3, 3), np.uint8)) + np.float32(0.05) * mask
    total = cv2.GaussianBlur(weight, (0, 0), 3.0)[..., None] + np.float32(1e-4)
    smooth = cv2.GaussianBlur(flow * weight[..., None], (0, 0), 3.0)
    return np.asarray((smooth + np.float32(1e-4) * otherwise.astype(np.float32)) / total, np.float32)
