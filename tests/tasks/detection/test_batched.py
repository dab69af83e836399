"""Detection in batches: what is decoded when, what is held, what is kept of a box."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tasks.detection.base import Detection
from tasks.detection.batched import clip_boxes, detect_in_batches
from tasks.video.reader import Frames, Source, Video
from tasks.video.timeline import Timeline

COUNT, SIZE = 38, 8


class Watched:
    """Frames filled with their index; tells which batches were decoded, and the most that were held at once."""

    def __init__(self) -> None:
        self.decoded = [threading.Event() for _ in range(0, COUNT, SIZE)]
        self.asked: list[list[int]] = []
        self.most = 0
        self._batches: list[weakref.ref[Frames]] = []

    def __len__(self) -> int:
        return COUNT

    def get(self, indices: Sequence[int]) -> Frames:
        self.asked.append(list(indices))
        frames = np.stack([np.full((2, 4, 3), i, np.uint8) for i in indices])
        self._batches.append(weakref.ref(frames))
        self.most = max(self.most, sum(ref() is not None for ref in self._batches))
        if len(self.asked) > 1:  # the first is asked for by the video itself, for its size
            self.decoded[len(self.asked) - 2].set()
        return frames

    def timeline(self) -> Timeline:
        return Timeline(np.arange(COUNT) / 15, COUNT / 15)


def named(frames: Frames) -> list[list[Detection]]:
    return [[Detection((0, 0, 1, 1), str(frame[0, 0, 0]), 1.0)] for frame in frames]


def test_the_next_frames_are_decoded_while_these_are_detected_and_no_third_batch_is_held() -> None:
    reader = Watched()
    video = Video(Source("watched", Path("watched")), Path("watched"), reader)
    batches = 0

    def detect_frames(frames: Frames) -> list[list[Detection]]:
        nonlocal batches
        batches += 1
        assert batches == len(reader.decoded) or reader.decoded[batches].wait(20), "decoded while this batch is here"
        return named(frames)

    found = detect_in_batches(detect_frames, video, range(COUNT), SIZE)
    assert [detections[0].category for detections in found] == [str(i) for i in range(COUNT)]
    assert reader.asked[1:] == [list(range(first, min(first + SIZE, COUNT))) for first in range(0, COUNT, SIZE)]
    assert reader.most == 2


def test_no_frames_are_no_batches() -> None:
    assert detect_in_batches(named, Video(Source("watched", Path("watched")), Path("watched"), Watched()), []) == []


def test_an_error_of_either_side_passes_and_leaves_no_thread() -> None:
    video = Video(Source("watched", Path("watched")), Path("watched"), Watched())

    def broken(_frames: Frames) -> list[list[Detection]]:
        raise MemoryError("of the detector")

    with pytest.raises(MemoryError, match="of the detector"):
        detect_in_batches(broken, video, range(COUNT))
    with pytest.raises(MemoryError, match="of the decoder"):
        detect_in_batches(named, Video(Source("short", Path("short")), Path("short"), Short()), range(COUNT))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


class Short(Watched):
    """Runs out of memory in the third batch."""

    def get(self, indices: Sequence[int]) -> Frames:
        if indices[0] >= 2 * SIZE:
            raise MemoryError("of the decoder")
        return super().get(indices)


def test_boxes_are_clipped_and_those_outside_left_out() -> None:
    corners = [(-5, -5, 3, 4), (2, 1, 30, 40), (-9, 0, 0, 5), (10, 2, 12, 4), (3, 3, 3, 5), (5, 5, 4, 6)]
    found = clip_boxes([(box, "thing", 0.5) for box in corners], height=8, width=10)
    assert [d.box for d in found] == [(0, 0, 3, 4), (2, 1, 10, 8)]
