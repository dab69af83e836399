"""Identity: a new object that continues a lost one takes its ID back (section A.6, ReID).

By position, size and appearance: it is near where the other went, of about its size, and in its colours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from storage.rle import decode_counts
from tasks.detection.base import Detection
from tasks.masks.instances import Instance
from tasks.tracking.tubes import Tubes
from tasks.video.reader import Video

REACH, REACH_A_SECOND, MOST_REACH = 0.75, 0.75, 3.0
"""How far a lost object may have gone, in lengths of its box's diagonal: at once, more with each second, and at most."""
SIZE_RATIO = 3.0
"""Times by which its area may have grown or shrunk."""
MIN_SIMILARITY = 0.5
"""Least likeness of colours, in [0, 1]."""
BINS = (12, 4, 4)
"""Of hue, saturation and brightness."""

Colours = NDArray[np.float64]


class LostObject(NamedTuple):
    """A lost object: where it was last, and what it looked like there."""

    frame: int
    instance: Instance


def lost_objects(tubes: Tubes, here: Mapping[int, Instance]) -> dict[int, LostObject]:
    """Objects that are not among the instances `here` of a frame, by ID, and their last instances before it.

    Args:
        tubes: instances of the video so far.
        here: object ID -> instance on the current frame.
    """
    missing = {object_id for object_id in tubes.objects if object_id not in here}
    lost: dict[int, LostObject] = {}
    for index in sorted(tubes.frames, reverse=True):
        for object_id in missing & tubes.frames[index].keys():
            lost[object_id] = LostObject(index, tubes.frames[index][object_id])
        missing -= lost.keys()
        if not missing:
            break
    return lost


def match_lost(
    video: Video, tubes: Tubes, index: int, fresh: Sequence[tuple[Detection, Instance]], lost: Mapping[int, LostObject]
) -> dict[int, int]:
    """Which of the new objects of a frame are lost ones.

    Args:
        video: the video, whose pixels tell appearance; read only for pairs that position and size allow.
        tubes: categories and shape.
        index: frame of the new objects.
        fresh: the new objects.
        lost: object ID -> its last instance.

    Returns:
        Position in `fresh` -> ID that it takes back; each ID once, the likest pairs first.
    """
    likeness = {}
    colours = _ColourHistograms(video, tubes.shape)
    for number, (detection, instance) in enumerate(fresh):
        for object_id, last in lost.items():
            gap_s = float(video.timeline.times_s[index] - video.timeline.times_s[last.frame])
            alike = _same_kind(detection.category, tubes.objects[object_id].category)
            if alike and is_within_reach(instance, last.instance, gap_s):
                like = np.minimum(colours.of(index, instance), colours.of(last.frame, last.instance)).sum()
                likeness[number, object_id] = float(like)
    matches: dict[int, int] = {}
    for number, object_id in sorted(likeness, key=lambda pair: (-likeness[pair], pair)):
        if likeness[number, object_id] >= MIN_SIMILARITY and number not in matches and object_id not in matches.values():
            matches[number] = object_id
    return matches


def _same_kind(a: str, b: str) -> bool:
    # Motion tells that something moves, not what.
    return a == b or "object" in {a, b}


def is_within_reach(new: Instance, last: Instance, gap_s: float) -> bool:
    """Whether position and size let a new instance be the object last seen `gap_s` seconds before.

    Args:
        new: first instance of a new object.
        last: last instance of a lost object.
        gap_s: seconds between the two.
    """
    a, b = np.array(new.box, np.float64), np.array(last.box, np.float64)
    apart = float(np.hypot(*((a[:2] + a[2:]) / 2 - (b[:2] + b[2:]) / 2)))
    reach = float(np.hypot(*(b[2:] - b[:2]))) * min(REACH + REACH_A_SECOND * gap_s, MOST_REACH)
    return apart <= reach and max(new.area, last.area) <= SIZE_RATIO * min(new.area, last.area)


class _ColourHistograms:
    """Colours of instances, each looked at once."""

    def __init__(self, video: Video, shape: tuple[int, int]) -> None:
        self._video, self._shape = video, shape
        self._known: dict[tuple[int, Instance], Colours] = {}

    def of(self, index: int, instance: Instance) -> Colours:
        """Histogram of an instance's colours, float64 of `BINS`, summing to 1."""
        import cv2

        if (index, instance) not in self._known:
            x1, y1, x2, y2 = instance.box
            picture = np.ascontiguousarray(self._video.frames([index])[0][y1:y2, x1:x2])
            mask = np.ascontiguousarray(decode_counts(instance.counts, *self._shape)[y1:y2, x1:x2]).view(np.uint8)
            hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
            counts = cv2.calcHist([hsv], [0, 1, 2], mask, list(BINS), [0, 180, 0, 256, 0, 256])
            self._known[index, instance] = np.asarray(counts, np.float64) / instance.area
        return self._known[index, instance]
