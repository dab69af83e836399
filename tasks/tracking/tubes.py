"""Tubes: the instances of every object of a video, with rules for objects that coincide."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from storage.rle import decode_counts
from tasks.detection.base import Detection
from tasks.masks.instances import Instance, encode_mask, intersections


@dataclass
class Tubes:
    """Every object of a video, with its instance on each frame where it is visible.

    Attributes:
        shape: (height, width) of the video, pixels.
        match_iou: mask IoU from which two instances of a frame show the same object (section 4.1: 0.4).
        overlapping: whether a pixel may belong to several objects; otherwise it belongs to the oldest.
        objects: object ID (from 1, in order of discovery, never reused) -> detection of its discovery.
        discovered_at: object ID -> frame index of its discovery.
        frames: frame index -> object ID -> instance.
        hidden_behind_older: backward instances dropped because they match an older object (IoU >= `match_iou`).
        merged: ID of an object that was merged into an older one -> ID of the older one.
        recovered: number of times a new object got the ID of a lost one.
    """

    shape: tuple[int, int]
    match_iou: float = 0.4
    overlapping: bool = True
    objects: dict[int, Detection] = field(default_factory=dict)
    discovered_at: dict[int, int] = field(default_factory=dict)
    frames: dict[int, dict[int, Instance]] = field(default_factory=dict)
    hidden_behind_older: int = 0
    merged: dict[int, int] = field(default_factory=dict)
    recovered: int = 0
    _met: Counter[tuple[int, int]] = field(default_factory=Counter)
    _back: Counter[int] = field(default_factory=Counter)
    _ids: int = 0

    def new_object(self, detection: Detection, index: int) -> int:
        """Add an object discovered on a frame and return its ID.

        Args:
            detection: detection that starts the object.
            index: 0-based native frame index.
        """
        self._ids += 1
        self.objects[self._ids], self.discovered_at[self._ids] = detection, index
        return self._ids

    def add(self, index: int, instances: Mapping[int, Instance]) -> None:
        """Add the instances of a frame.

        Args:
            index: 0-based native frame index.
            instances: object ID -> instance on that frame.
        """
        here = self.frames.setdefault(index, {})
        for object_id in sorted(instances):
            own = instances[object_id] if self.overlapping else self._rest(instances[object_id], here)
            if own is not None:
                here[object_id] = own
        if not here:
            del self.frames[index]

    def add_backward(self, index: int, instances: Mapping[int, Instance]) -> None:
        """Add instances of the backward pass, except those that match an older object.

        Args:
            index: 0-based native frame index.
            instances: object ID -> instance on that frame.
        """
        for object_id in sorted(instances):
            self._back[object_id] += 1
            older = {i: other for i, other in self.frames.get(index, {}).items() if i < object_id}
            ious = mask_ious(instances[object_id], older, self.shape)
            met = [other_id for other_id, iou in ious.items() if iou >= self.match_iou]
            self._met.update((other_id, object_id) for other_id in met)
            if met:
                self.hidden_behind_older += 1
            else:
                self.add(index, {object_id: instances[object_id]})

    def merge(self) -> None:
        """Merge each object that the backward pass identified with an older one into it.

        Two objects are the same if they match on most frames of the backward pass of the younger one, and differ on no more
        than half of the frames since its discovery. An object that was occluded by the older one also matches in the backward
        pass, but is visible next to it after its discovery.
        """
        for older, younger in sorted(self._met, key=lambda pair: (-pair[1], -self._met[pair])):
            if younger in self.merged or self._met[older, younger] * 2 <= self._back[younger]:
                continue
            survivor = self._final(older)
            since = [here for index, here in self.frames.items() if index >= self.discovered_at[younger] and younger in here]
            if survivor != younger and self._apart(survivor, younger, since) * 2 <= len(since):
                self._reassign(younger, survivor)

    def remove(self, object_ids: Iterable[int]) -> None:
        """Remove objects with all their instances; their IDs are not used again."""
        removed = set(object_ids)
        self.objects = {i: detection for i, detection in self.objects.items() if i not in removed}
        self.discovered_at = {i: frame for i, frame in self.discovered_at.items() if i not in removed}
        kept = {frame: {i: o for i, o in here.items() if i not in removed} for frame, here in self.frames.items()}
        self.frames = {frame: here for frame, here in kept.items() if here}

    def _final(self, object_id: int) -> int:
        while object_id in self.merged:
            object_id = self.merged[object_id]
        return object_id

    def _apart(self, older: int, younger: int, frames: list[dict[int, Instance]]) -> int:
        both = [here for here in frames if older in here]
        return sum(mask_ious(here[younger], {older: here[older]}, self.shape)[older] < self.match_iou for here in both)

    def _reassign(self, younger: int, older: int) -> None:
        for here in self.frames.values():
            instance = here.pop(younger, None)
            if instance is not None:
                here.setdefault(older, instance)
        del self.objects[younger], self.discovered_at[younger]
        self.merged[younger] = older

    def _rest(self, instance: Instance, others: Mapping[int, Instance]) -> Instance | None:
        """Part of an instance that no other instance covers."""
        touched = [others[i] for i, iou in mask_ious(instance, others, self.shape).items() if iou > 0]
        if not touched:
            return instance
        mask, *occupied = (decode_counts(some.counts, *self.shape) for some in (instance, *touched))
        return encode_mask(mask & ~np.logical_or.reduce(occupied))


def mask_ious(instance: Instance, others: Mapping[int, Instance], shape: tuple[int, int]) -> dict[int, float]:
    """Mask IoU of an instance with other instances of its frame, by their IDs.

    Args:
        instance: instance to compare.
        others: object ID -> instance on the same frame.
        shape: (height, width) of the image in pixels.
    """
    both = intersections([instance], list(others.values()), shape)[0] if others else []
    return {i: float(area / (instance.area + other.area - area)) for (i, other), area in zip(others.items(), both, strict=True)}
