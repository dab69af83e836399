"""Re-identification: a new object that continues a lost one gets its ID back (section 1: "ReID is employed").

Position, size and appearance must match.
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
"""Maximum displacement of a lost object in box diagonals: at once, additional per second, and in total."""
SIZE_RATIO = 3.0
"""Maximum ratio of the areas."""
MIN_SIMILARITY = 0.5
"""Minimum overlap of colour histograms, in [0, 1]."""
BINS = (12, 4, 4)
"""Histogram bins of hue, saturation and value."""

Colours = NDArray[np.float64]


class LostObject(NamedTuple):
    """Last visible frame of a lost object, and its instance there."""

    frame: int
    instance: Instance


def lost_objects(tubes: Tubes, here: Mapping[int, Instance]) -> dict[int, LostObject]:
    """Objects without an instance on the current frame, with their last instance before it, by ID.

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
    """Match the new objects of a frame to lost objects.

    Args:
        video: the video; frames are decoded only for pairs that match in position and size.
        tubes: categories, and shape of the video.
        index: frame of the new objects.
        fresh: the new objects.
        lost: object ID -> its last instance.

    Returns:
        Position in `fresh` -> ID of the lost object; each ID at most once, the most similar pairs first.
    """
    similarity = {}
    colours = _ColourHistograms(video, tubes.shape)
    for number, (detection, instance) in enumerate(fresh):
        for object_id, last in lost.items():
            gap_s = float(video.timeline.times_s[index] - video.timeline.times_s[last.frame])
            alike = _may_match(detection.category, tubes.objects[object_id].category)
            if alike and is_within_reach(instance, last.instance, gap_s):
                like = np.minimum(colours.of(index, instance), colours.of(last.frame, last.instance)).sum()
                similarity[number, object_id] = float(like)
    matches: dict[int, int] = {}
    for number, object_id in sorted(similarity, key=lambda pair: (-similarity[pair], pair)):
        if similarity[number, object_id] >= MIN_SIMILARITY and number not in matches and object_id not in matches.values():
            matches[number] = object_id
    return matches


def _may_match(a: str, b: str) -> bool:
    # The category `object` of the motion detector matches any category.
    return a == b or "object" in {a, b}


def is_within_reach(new: Instance, last: Instance, gap_s: float) -> bool:
    """Whether position and size allow a new instance to be an object last seen `gap_s` seconds before.

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
    """Colour histograms of instances, cached."""

    def __init__(self, video: Video, shape: tuple[int, int]) -> None:
        self._video, self._shape = video, shape
        self._known: dict[tuple[int, Instance], Colours] = {}

    def of(self, index: int, instance: Instance) -> Colours:
        """Histogram of the colours of an instance, float64 of shape `BINS`, sum 1."""
        import cv2

        if (index, instance) not in self._known:
            x1, y1, x2, y2 = instance.box
            picture = np.ascontiguousarray(self._video.frames([index])[0][y1:y2, x1:x2])
            mask = np.ascontiguousarray(decode_counts(instance.counts, *self._shape)[y1:y2, x1:x2]).view(np.uint8)
            hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
            counts = cv2.calcHist([hsv], [0, 1, 2], mask, list(BINS), [0, 180, 0, 256, 0, 256])
            self._known[index, instance] = np.asarray(counts, np.float64) / instance.area
        return self._known[index, instance]
