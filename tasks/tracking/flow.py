"""Tracker by optical flow: boxes are segmented by motion and colour, or by a model of persons, and masks propagated."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from tasks.masks.instances import Box, Instance, Mask, encode_mask
from tasks.tracking.base import TrackingCost
from tasks.tracking.box_segmentation import segment_box, untracked_part
from tasks.tracking.config import MemoryConfig, TrackerConfig
from tasks.tracking.cuts import is_cut
from tasks.tracking.follow import Follower
from tasks.tracking.people import PersonSegmenter
from tasks.tracking.prepared_frame import PreparedFrame, prepare_frame
from tasks.video.motion import camera_motion, flow_magnitude, optical_flow, residual_flow, working_size
from tasks.video.reader import Video, open_video
from tasks.weights import Weights

WORK_SIZE_PX = 480
"""Longer side of the frames that are tracked; masks are scaled up."""
CORRECTED_SIZE_PX = 320
"""The same where detections correct the objects on every key frame, so that errors last half a second at most."""
WINDOW_BYTES = 96 * 2**20
"""Bytes of frames in memory in the backward pass: decoders start at a key frame, and many clips have only one."""
CACHED_FRAMES = 6
"""Frames retained before the current one, so that its motion can be measured again."""


class FlowTracker:
    """Tracker by optical flow; its only model, if any, segments persons."""

    def __init__(self, config: TrackerConfig, weights: Weights | None = None) -> None:
        self._people = PersonSegmenter(weights) if weights is not None else None

    def open(self, video: Video, frames: range, last_prompt: int, memory: MemoryConfig) -> AbstractContextManager[FlowSession]:
        """Open a session for one video; no features are cached.

        Args:
            video: the opened video.
            frames: consecutive native frame indices to track.
            last_prompt: last native frame on which an object may be added.
            memory: memory and disk for image features.
        """
        return nullcontext(FlowSession(video, frames, self._people))


class FlowSession:
    """Tracking session of one video, with a window of frames and the last mask and colours of each object in memory."""

    def __init__(self, video: Video, frames: range, people: PersonSegmenter | None = None) -> None:
        self._video, self._frames, self._people = video, frames, people
        self._size = working_size(video.height, video.width, WORK_SIZE_PX if people is None else CORRECTED_SIZE_PX)
        self._small = open_video(video.source, self._size)
        self._window = max(1, WINDOW_BYTES // (3 * self._size[0] * self._size[1]))
        self._views: dict[int, PreparedFrame] = {}
        self._follower: Follower | None = None
        self._at = 0

    def segment(self, index: int, boxes: Sequence[Box]) -> list[Mask]:
        """Segment the object in each box on frame `index`; a mask may be empty.

        Args:
            index: 0-based native frame index.
            boxes: (x1, y1, x2, y2) in pixels of the video, half-open.
        """
        tracked = self._tracked(index)
        return [self._enlarged(untracked_part(mask, tracked)) for mask in self._segmented(index, boxes)]

    def correct(self, index: int, boxes: Mapping[int, Box]) -> dict[int, Mask]:
        """Segment tracked objects anew in the boxes of their detections.

        Args:
            index: 0-based native frame index, which tracking has reached.
            boxes: object ID -> (x1, y1, x2, y2) in pixels of the video, half-open.
        """
        masks = zip(boxes, self._segmented(index, list(boxes.values())), strict=True)
        others = self._tracked(index, excluded=boxes.keys())
        return {object_id: self._enlarged(untracked_part(mask, others)) for object_id, mask in masks}

    def segment_person(self, index: int, box: Box) -> Mask | None:
        """Mask of the person in a box; None without a model of person masks.

        Args:
            index: 0-based native frame index.
            box: (x1, y1, x2, y2) in pixels of the video, half-open.
        """
        if self._people is None:
            return None
        x, y = self._size[0] / self._video.width, self._size[1] / self._video.height
        scaled = (box[0] * x, box[1] * y, box[2] * x, box[3] * y)
        return self._enlarged(self._people.mask(self._view(index).rgb, scaled))

    def remove(self, object_ids: Iterable[int]) -> None:
        """Stop to follow objects."""
        for object_id in object_ids:
            if self._follower is not None:
                self._follower.targets.pop(object_id, None)

    def _segmented(self, index: int, boxes: Sequence[Box]) -> list[Mask]:
        """Masks at working size of the objects in boxes."""
        others = [i for i in (index - 2, index + 2) if 0 <= i < len(self._video)]
        # The frame before is cached; one after is decoded only if there is none before.
        here, other = self._view(index), self._view(others[0]) if others else self._view(index)
        flow = optical_flow(here.gray, other.gray)
        moving = flow_magnitude(residual_flow(flow, camera_motion(flow)))
        scale = np.array(self._size * 2) / np.array([self._video.width, self._video.height] * 2)
        small = [np.array(box) * scale for box in boxes]
        covered = np.zeros(moving.shape, np.bool_)
        for x1, y1, x2, y2 in (np.round(box).astype(int) for box in small):
            covered[y1:y2, x1:x2] = True
        if self._follower is not None and self._at == index:
            # Pixels that match the background model belong to no object.
            moving = np.where(self._follower.change < -0.8, np.float32(0), moving)
        return [segment_box(here, box, moving, covered) for box in small]

    def _tracked(self, index: int, excluded: Container[int] = ()) -> Mask:
        """Union of the masks of tracked objects on a frame, if tracking is at this frame."""
        tracked = np.zeros(self._size[::-1], np.bool_)
        if self._follower is not None and self._at == index:
            for object_id, target in self._follower.targets.items():
                if object_id not in excluded:
                    tracked |= target.mask
        return tracked

    def add(self, index: int, masks: Mapping[int, Mask]) -> None:
        """Start to track objects by their masks on a frame.

        Args:
            index: 0-based native frame index; tracking has reached this frame.
            masks: object ID -> mask, bool (height, width).
        """
        if self._follower is None:
            self._follower, self._at = Follower(self._view(index)), index
        self._follower.add(self._all_reduced(masks))

    def forward(self, start: int, stop: int) -> Iterator[tuple[int, dict[int, Instance]]]:
        """Instances of all added objects on frames start + 1 to stop, both included, in order.

        Args:
            start: native frame of the last prompts, excluded.
            stop: last native frame, included.
        """
        assert self._follower is not None, "objects must be added before forward tracking"
        for first, frames in self._small.windows(start + 1, stop + 1):
            for index, frame in enumerate(frames, first):
                before, self._views[index] = self._views.get(index - 1), prepare_frame(frame)
                self._views.pop(index - CACHED_FRAMES, None)
                self._at = index
                if before is not None and is_cut(before, self._views[index]):
                    self._follower = Follower(self._views[index])
                    yield index, {}
                else:
                    yield index, self._instances(self._follower.step(self._views[index]))

    def backward(
        self, prompts: Mapping[int, Mapping[int, Mask]], first: int | None = None
    ) -> Iterator[tuple[int, dict[int, Instance]]]:
        """Instances of objects before their discovery, in one pass from the last discovery back.

        Args:
            prompts: frame index of a discovery -> object ID -> its mask, bool (height, width).
            first: last frame of the pass; the first of the tracked frames by default.
        """
        start, stop = max(prompts), self._frames.start if first is None else first
        before = self._view(start)
        follower = Follower(before)
        follower.add(self._all_reduced(prompts[start]))
        for lowest, frames in self._small.windows(start - 1, stop - 1, min(self._window, start - stop + 1)):
            for index in reversed(range(lowest, lowest + len(frames))):
                view = prepare_frame(frames[index - lowest])
                if is_cut(view, before):
                    follower = Follower(view)
                    yield index, {}
                else:
                    yield index, self._instances(follower.step(view))
                before = view
                if index in prompts:
                    follower.add(self._all_reduced(prompts[index]))

    def work(self) -> TrackingCost:
        """No cost: there is no image encoder."""
        return TrackingCost()

    def _view(self, index: int) -> PreparedFrame:
        if index not in self._views:
            self._views = {i: v for i, v in self._views.items() if abs(i - index) < CACHED_FRAMES}
            self._views[index] = prepare_frame(self._small.frames([index])[0])
        return self._views[index]

    def _instances(self, masks: Mapping[int, Mask]) -> dict[int, Instance]:
        instances = {object_id: encode_mask(self._enlarged(mask)) for object_id, mask in masks.items() if mask.any()}
        return {object_id: instance for object_id, instance in instances.items() if instance is not None}

    def _enlarged(self, mask: Mask) -> Mask:
        return _resized(mask, (self._video.width, self._video.height))

    def _all_reduced(self, masks: Mapping[int, Mask]) -> dict[int, Mask]:
        return {object_id: _resized(mask, self._size) for object_id, mask in masks.items()}


def _resized(mask: Mask, size: tuple[int, int]) -> Mask:
    import cv2

    if mask.shape[1::-1] == size:
        return mask
    shrinks = size[0] < mask.shape[1]
    soft = cv2.resize(mask.view(np.uint8) * np.uint8(255), size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(soft >= 128, np.bool_)
