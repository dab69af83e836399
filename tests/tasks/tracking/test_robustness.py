"""Objects that move, shrink and leave the picture, and pictures of any shape, end no tracker or detector."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.detection.base import DetectorConfig, build_detector
from tasks.masks.instances import Mask
from tasks.tracking.base import build_tracker
from tasks.tracking.config import MemoryConfig, TrackerConfig
from tasks.video.reader import Frames, Source, open_video

HEIGHT, WIDTH, COUNT = 72, 96, 10


def scene(x: float, y: float, dx: float, dy: float, side: int, shrink: float) -> tuple[list[Frames], list[Mask]]:
    """A bright square that moves by (dx, dy) pixels and shrinks by a factor a frame over a still texture."""
    rng = np.random.default_rng(0)
    ground = rng.integers(60, 120, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    skin = rng.integers(150, 255, (64, 64, 3), dtype=np.uint8)
    frames, masks = [], []
    for index in range(COUNT):
        image, mask = ground.copy(), np.zeros((HEIGHT, WIDTH), np.bool_)
        now = min(64, max(1, round(side * shrink**index)))
        left, top = round(x + dx * index), round(y + dy * index)
        rows, columns = slice(max(top, 0), max(top + now, 0)), slice(max(left, 0), max(left + now, 0))
        h, w = image[rows, columns].shape[:2]
        image[rows, columns] = skin[:h, :w]
        mask[rows, columns] = True
        frames.append(image)
        masks.append(mask)
    return frames, masks


moves = st.floats(-30, 30)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    x=st.floats(-10, WIDTH), y=st.floats(-10, HEIGHT), dx=moves, dy=moves, side=st.integers(1, 60), shrink=st.floats(0.2, 1.5)
)
def test_the_flow_tracker_follows_or_loses_any_motion(
    x: float, y: float, dx: float, dy: float, side: int, shrink: float, clip_factory: Callable[..., Path], tmp_path: Path
) -> None:
    frames, masks = scene(x, y, dx, dy, side, shrink)
    video = open_video(Source("a.mp4", clip_factory(tmp_path / "a.mp4", frames)))
    with build_tracker(TrackerConfig()).open(video, range(COUNT), COUNT - 1, MemoryConfig()) as session:
        session.add(0, {1: masks[0]})
        forward = dict(session.forward(0, COUNT - 1))
        backward = list(session.backward({COUNT - 1: {2: masks[-1]}})) if masks[-1].any() else []
    assert sorted(forward) == list(range(1, COUNT))
    for instances in (*forward.values(), *(instances for _, instances in backward)):
        for instance in instances.values():
            x1, y1, x2, y2 = instance.box
            assert 0 <= x1 < x2 <= WIDTH
            assert 0 <= y1 < y2 <= HEIGHT


@pytest.mark.parametrize("name", ["motion", "people", "people+motion"])
@pytest.mark.parametrize(("height", "width"), [(64, 1024), (1024, 64), (32, 32), (40, 600), (130, 66)])
def test_detectors_take_pictures_of_any_shape(
    name: str, height: int, width: int, clip_factory: Callable[..., Path], tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    images = [rng.integers(0, 255, (height, width, 3), dtype=np.uint8) for _ in range(4)]
    video = open_video(Source("a.mp4", clip_factory(tmp_path / "a.mp4", images)))
    for detections in build_detector(DetectorConfig(name=name)).detect(video, [0, 2]):
        for detection in detections:
            x1, y1, x2, y2 = detection.box
            assert 0 <= x1 < x2 <= width
            assert 0 <= y1 < y2 <= height
