"""One followed object: what is remembered of it, and how it is carried from one frame to the next."""

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
"""Bounds of belief, and how much of it is kept from frame to frame."""
MOTION = 1.5
"""Weight of what speaks against pixels that stay with the camera while the object moves."""
LOST_SHARE, PARTLY_SHARE = 0.06, 0.75
"""Below these shares of its usual area in sight an object is taken for hidden, and for partly hidden."""
REACH = 0.25
"""How far about its box an object is looked for, as a share of the box's longer side."""


@dataclass
class TrackedObject:
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
    box: Area
    speed: Area
    hidden: int = 0
    share: float = 1.0

    @property
    def partly(self) -> bool:
        """Whether it is hidden, or a good part of it."""
        return self.share < PARTLY_SHARE

    def colour_evidence(self, bins: Bins, window: Window) -> Change:
        """What the colour of each pixel of a window says for the object, float32 of the window's shape.

        Args:
            bins: colour bin of each pixel, int (height, width).
            window: rows and columns of the image.
        """
        return np.asarray(
            log_likelihood_ratio(self.colours, self.around)[part_of_rows(self.box, window)[:, None], bins[window]], np.float32
        )

    def settle(self, object_id: int, owner: NDArray[np.int32]) -> None:
        """Make the pixels dealt to the object its mask, without specks; it forgets those that others got.

        Args:
            object_id: the object's number in `owner`.
            owner: int32 (height, width), whose each pixel is, -1 nobody's; pixels that the object gives up become so.
        """
        window = window_around(self.box, owner.shape, REACH)
        given, self.mask = owner[window], np.zeros(owner.shape, np.bool_)
        if is_empty(window):
            self.hidden, self.share = 1, 0.0
            return
        mask = clean_mask(given == object_id, 0.03 * self.area) & ((given == object_id) | (given < 0))
        self.share = np.count_nonzero(mask) / self.area
        if self.share < LOST_SHARE:
            self.hidden, self.share = 1, 0.0
            mask[:] = False
        given[(given == object_id) & ~mask] = -1
        self.mask[window] = mask
        belief = self.belief[window]
        self.belief[window] = np.where(mask, np.maximum(belief, 0.5), np.minimum(belief, -0.5))

    def appear(self, window: Window, visible: Mask) -> None:
        """Come into sight again as the mask `found` in a window.

        Args:
            window: rows and columns of the image.
            visible: bool of the window's shape, pixels where the object is visible.
        """
        self.mask = np.zeros_like(self.mask)
        self.mask[window] = visible
        self.belief = initial_belief(self.mask)
        self.box = enclosing_box(self.box, np.array(tight_box(self.mask), np.float64))
        self.hidden, self.share = 0, np.count_nonzero(visible) / self.area

    def learn(self, bins: Bins, box: Area) -> None:
        """Take over size and colours while nobody touches the object, whose mask has the tight box `box`.

        Args:
            bins: colour bin of each pixel, int (height, width).
            box: tight box of the object's mask, pixels, half-open.
        """
        # Limbs stretch a box little by little; a stranger taken in would do so at once.
        grow = 0.02 * max(box[2:] - box[:2]) + 1
        self.box = np.concatenate([np.maximum(box[:2], self.box[:2] - grow), np.minimum(box[2:], self.box[2:] + grow)])
        self.area += 0.1 * (np.count_nonzero(self.mask) - self.area)
        self.colours = 0.95 * self.colours + 0.05 * part_histograms(bins, self.mask, self.box)


def initial_belief(mask: Mask) -> Change:
    """Firm belief in a mask."""
    return np.where(mask, np.float32(SURE), np.float32(-SURE))


def propagate(target: TrackedObject, flow: Flow, camera: Affine, before: PreparedFrame, after: PreparedFrame) -> None:
    """Move an object's box and belief on to the next frame; belief fades where its colour does not arrive with it.

    The object's own flow is spread beyond its edges and belief fetched back along it. Fetched along the picture's
    flow, background that comes to light behind the object would be taken for it, and limbs for background.

    Args:
        target: object to move.
        flow: flow from `before` to `after`, float32 (height, width, 2) in pixels, x first.
        camera: camera motion, affine (2, 3).
        before: the current frame.
        after: the next frame.
    """
    import cv2

    step = np.median(flow[target.mask], axis=0).astype(np.float64)
    if target.partly:
        # Flow near what hides it is that one's flow: trust its own speed from before.
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
    # Nothing is said while the whole object moves with the camera.
    stays = np.clip(1.5 - 3 * apart / typical, 0, 1) if typical > 0.4 else np.float32(0)
    belief = KEEP * cv2.GaussianBlur(np.where(fetched > 0, fetched * (2 * arrives - 1), fetched), (0, 0), 1.0)
    target.belief[window] = belief - MOTION * stays


def extrapolate_flow(flow: Flow, mask: Change, otherwise: Area) -> Flow:
    """Flow of the inside of a mask, carried on beyond its edges; far from it the flow `otherwise`, (x, y).

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
