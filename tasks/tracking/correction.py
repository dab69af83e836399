"""Correction of tracked objects by the detections of key frames.

A detector with trained categories sees most objects on every key frame. Its detections confirm the objects that they match, and
move those that have drifted; an object without a detection on `MISSES` key frames is no longer followed, and one that a single
weak detection started is dropped. This needs a detector whose boxes are more reliable than propagation.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tasks.detection.base import Detection
from tasks.masks.instances import Box, Instance, Mask, box_iou, contained_share, tight_box

SAME_IOU, OTHER_IOU = 0.3, 0.5
"""Minimum box IoU of an object and its detection, of one category and of two."""
CONTAINED = 0.8
"""Share of the smaller box from which an object and a detection of its category match although their IoU is low."""
KEEP_IOU = 0.75
"""Box IoU from which an object is left as it was propagated."""
FIT_IOU = 0.6
"""Box IoU of a segmentation with its box below which the ellipse inside the box takes its place."""
MISSES = 4
"""Key frames without a detection after which an object is no longer followed."""
SURE_SCORE = 0.5
"""Score from which a single detection makes an object."""
BACKWARD_FRAMES = 30
"""Frames before its first detection to which an object is followed back: two key frames on which it was overlooked."""


def match_tracked(
    detections: Sequence[Detection], here: Mapping[int, Instance], objects: Mapping[int, Detection]
) -> dict[int, int]:
    """Detections of a key frame matched with the objects that are tracked there, the closest pairs first.

    Args:
        detections: detections of the frame.
        here: object ID -> instance on the frame.
        objects: object ID -> detection that started the object.

    Returns:
        Position in `detections` -> object ID, each at most once.
    """
    pairs = []
    for number, detection in enumerate(detections):
        for object_id, instance in here.items():
            iou, same = box_iou(detection.box, instance.box), detection.category == objects[object_id].category
            close = iou >= (SAME_IOU if same else OTHER_IOU)
            if close or (same and contained_share(detection.box, instance.box) >= CONTAINED):
                pairs.append((-iou, number, object_id))
    matches: dict[int, int] = {}
    for _, number, object_id in sorted(pairs):
        if number not in matches and object_id not in matches.values():
            matches[number] = object_id
    return matches


def is_repeated(detection: Detection, here: Mapping[int, Instance], objects: Mapping[int, Detection]) -> bool:
    """Whether a detection without a match shows part of an object of its category; people may stand before each other.

    Args:
        detection: detection without a match.
        here: object ID -> instance on its frame.
        objects: object ID -> detection that started the object.
    """
    same = [instance for object_id, instance in here.items() if objects[object_id].category == detection.category]
    return detection.category != "person" and any(contained_share(detection.box, i.box) >= CONTAINED for i in same)


def fitted_mask(mask: Mask, box: Box) -> Mask:
    """A segmentation if it fills its box, otherwise the ellipse inside the box.

    Args:
        mask: bool (height, width).
        box: (x1, y1, x2, y2) of the detection in pixels, half-open.
    """
    tight = tight_box(mask)
    if tight is not None and box_iou(tight, box) >= FIT_IOU:
        return mask
    x1, y1, x2, y2 = box
    columns = _pixels_between(x1, x2, mask.shape[1])
    rows = _pixels_between(y1, y2, mask.shape[0])
    y, x = np.mgrid[rows, columns] + 0.5
    ellipse = np.zeros_like(mask)
    ellipse[rows, columns] = ((2 * x - x1 - x2) / max(x2 - x1, 1)) ** 2 + ((2 * y - y1 - y2) / max(y2 - y1, 1)) ** 2 <= 1
    return ellipse


def _pixels_between(start: float, stop: float, size: int) -> slice:
    """Pixels of an image side of `size` pixels that a side of a box touches; a side has at least one pixel."""
    centre, half = (start + stop) / 2, max(stop - start, 1) / 2
    first = min(max(math.floor(centre - half), 0), size)
    return slice(first, min(max(math.ceil(centre + half), first), size))


@dataclass
class Confirmations:
    """Detections that confirmed each object, and the key frames without one since.

    Attributes:
        confirmed: object ID -> number of key frames on which it was detected.
        missed: object ID -> key frames without a detection since the last.
        offered: object ID -> number of key frames since its discovery.
    """

    confirmed: Counter[int] = field(default_factory=Counter)
    missed: Counter[int] = field(default_factory=Counter)
    offered: Counter[int] = field(default_factory=Counter)

    def add(self, followed: Sequence[int], detected: Sequence[int]) -> list[int]:
        """Count a key frame and return the objects that are no longer to be followed.

        Args:
            followed: IDs of the objects that are followed on this frame.
            detected: IDs of the objects that have a detection there.
        """
        self.confirmed.update(detected)
        self.offered.update({*followed, *detected})
        for object_id in followed:
            self.missed[object_id] = 0 if object_id in detected else self.missed[object_id] + 1
        return [object_id for object_id in followed if self.missed[object_id] >= MISSES]

    def doubtful(self, objects: Mapping[int, Detection]) -> list[int]:
        """Objects that one weak detection started and none confirmed, although there was a later key frame.

        Args:
            objects: object ID -> detection that started the object.
        """
        return [
            object_id
            for object_id, detection in objects.items()
            if self.confirmed[object_id] < 2 <= self.offered[object_id] and detection.score < SURE_SCORE
        ]


def groups_within_reach(keys: Sequence[int], reach: int) -> Iterator[list[int]]:
    """Key frames from the last to the first, in groups whose ranges of `reach` frames before each touch.

    Args:
        keys: frame indices.
        reach: frames before each key frame.
    """
    group: list[int] = []
    for key in sorted(keys, reverse=True):
        if group and key < group[-1] - reach:
            yield group
            group = []
        group.append(key)
    if group:
        yield group
