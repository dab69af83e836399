"""Tracking with correction: objects are followed by optical flow, and moved to their detections on key frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from tasks.detection.base import Detection
from tasks.masks.instances import Box, Instance, Mask, box_iou, encode_mask
from tasks.tracking.base import Session
from tasks.tracking.correction import (
    BACKWARD_FRAMES,
    KEEP_IOU,
    Confirmations,
    fitted_mask,
    groups_within_reach,
    is_repeated,
    match_tracked,
)
from tasks.tracking.discovery import Tracking


@runtime_checkable
class CorrectableSession(Session, Protocol):
    """Tracking session whose objects can be segmented anew, removed, and followed back over a part of the video."""

    def correct(self, index: int, boxes: Mapping[int, Box]) -> dict[int, Mask]:
        """Segment tracked objects anew in the boxes of their detections.

        Args:
            index: 0-based native frame index, which tracking has reached.
            boxes: object ID -> (x1, y1, x2, y2) in pixels of the video, half-open.
        """
        ...

    def segment_person(self, index: int, box: Box) -> Mask | None:
        """Mask of the person in a box; None without a model of person masks."""
        ...

    def remove(self, object_ids: Iterable[int]) -> None:
        """Stop to follow objects."""
        ...

    def backward(
        self, prompts: Mapping[int, Mapping[int, Mask]], first: int | None = None
    ) -> Iterator[tuple[int, dict[int, Instance]]]:
        """Instances of objects before their discovery, down to frame `first` or the first of the segment."""
        ...


@dataclass
class CorrectedTracking(Tracking):
    """Tracking of one segment, corrected by a detector whose boxes are more reliable than propagation."""

    confirmations: Confirmations = field(default_factory=Confirmations)
    followed: set[int] = field(default_factory=set)

    def run(self, detections: Mapping[int, Sequence[Detection]], frames: range) -> None:
        """Track forward with correction on key frames, then backward; drop doubtful objects."""
        super().run(detections, frames)
        self.tubes.remove(self.confirmations.doubtful(self.tubes.objects))

    def discover(self, key: int, detections: Sequence[Detection], late: bool) -> None:
        """Correct the tracked objects by their detections, and add the other detections as new objects."""
        here = dict(self.tubes.frames.get(key, {}))
        matches = match_tracked(detections, here, self.tubes.objects)
        self._correct(key, {object_id: detections[number] for number, object_id in matches.items()}, here)
        rest = [
            detection
            for number, detection in enumerate(detections)
            if number not in matches and not is_repeated(detection, here, self.tubes.objects)
        ]
        super().discover(key, rest, late)
        new = self.tubes.frames.get(key, {}).keys() - here.keys()
        self.followed |= new
        lost = self.confirmations.add(sorted(self.followed), [*matches.values(), *new])
        self.followed -= set(lost)
        self._session.remove(lost)

    @property
    def _session(self) -> CorrectableSession:
        assert isinstance(self.session, CorrectableSession), "only trackers that can be corrected are tracked in this way"
        return self.session

    def _correct(self, key: int, detections: Mapping[int, Detection], here: Mapping[int, Instance]) -> None:
        """Restart the objects that have drifted from their detections."""
        drifted = {i: d.box for i, d in detections.items() if box_iou(d.box, here[i].box) < KEEP_IOU}
        restarted = {}
        for object_id, mask in (self._session.correct(key, drifted) if drifted else {}).items():
            fitted = self._fitted(key, detections[object_id], mask)
            instance = encode_mask(fitted)
            if instance is not None:
                self.tubes.frames[key][object_id] = instance
                restarted[object_id] = fitted
        if restarted:
            self.session.add(key, restarted)

    def segmented(self, key: int, detections: Sequence[Detection]) -> list[Mask]:
        """Masks of detections, which fill their boxes."""
        masks = super().segmented(key, detections)
        return [self._fitted(key, detection, mask) for mask, detection in zip(masks, detections, strict=True)]

    def _fitted(self, key: int, detection: Detection, mask: Mask) -> Mask:
        """Mask of a detection, which fills its box: that of the model of persons where it applies."""
        person = self._session.segment_person(key, detection.box) if detection.category == "person" else None
        return fitted_mask(mask if person is None else person, detection.box)

    def follow_back(self, frames: range) -> None:
        """Follow late objects back over the key frames on which they may have been overlooked."""
        for group in groups_within_reach(list(self.late), BACKWARD_FRAMES):
            first = max(frames.start, group[-1] - BACKWARD_FRAMES)
            for index, instances in self._session.backward({key: self.late[key] for key in group}, first):
                self.tubes.add_backward(index, instances)
        self.tubes.merge()
