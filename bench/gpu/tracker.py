"""Frames a second of the SAM2.1 tracker, codes included, beside those of the official predictor."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from bench.figures import Figure, at_least, at_most, told
from bench.gpu.clip import Clip, drawn_clip, official_frames, own_frames, own_session, show_objects, smooth_masks
from bench.gpu.machine import synchronize
from bench.official import official_predictor
from storage.common.config import changed
from tasks.tracking.config import TrackerConfig
from tasks.tracking.sam2.model import CONFIGS
from tasks.tracking.sam2.tracker import Sam2Tracker

BOUNDS = {16: 25.0, 64: 8.0}
"""Objects -> frames a second that are aimed for on an H100."""
MOST_TIMES = 1.3
"""Times what one object costs that 16 may cost."""


@dataclass(frozen=True)
class Size:
    """What is measured.

    Attributes:
        config: of the tracker.
        objects: numbers of objects, in the order in which they are measured.
        warm: frames before the clock starts; memories are full after 16.
        timed: frames on the clock.
        official_warm: the same of the official predictor, whose memory of masks is full after 7.
        official_timed: the same.
    """

    config: TrackerConfig
    objects: tuple[int, ...] = (1, 4, 8, 16, 32, 64)
    warm: int = 18
    timed: int = 20
    official_warm: int = 8
    official_timed: int = 4

    @property
    def clip(self) -> Clip:
        """A clip long enough."""
        return drawn_clip(self.warm + self.timed + 3, self.config.sam2.image_size_px)


LARGE = Size(TrackerConfig(name="sam2").resolved(gpu=True))
DRY = Size(TrackerConfig(name="sam2", sam2={"model": "tiny", "image_size_px": 128}).resolved(gpu=False), (1, 2), 1, 1, 1, 1)


def plain(dry: bool) -> Iterator[Figure]:
    """Without compilation, both."""
    size = DRY if dry else LARGE
    tracker, clip = Sam2Tracker(size.config), size.clip
    show_objects(tracker._model)
    own: dict[int, float] = {}
    yield from _own(tracker, clip, size, own)
    yield from _busy(tracker, clip, size)
    official = official_predictor(
        tracker._model, CONFIGS[size.config.sam2.model], size.config.sam2.image_size_px, size.config.device
    )
    for objects in size.objects:
        seconds = _official(official, clip, size, objects)
        yield told(f"official: frames/s, {objects} objects", 1 / seconds, f"{size.official_timed} frames")
        yield told(f"times the official's frames/s, {objects} objects", seconds / own[objects], "same weights and frames")


def compilation(dry: bool) -> Iterator[Figure]:
    """What compilation takes; the next parts find its kernels in the cache."""
    size = _compiled(dry)
    start, clip = time.perf_counter(), size.clip
    tracker = Sam2Tracker(size.config)
    with smooth_masks(), own_session(tracker, clip, size.objects[0]) as session:
        frames = own_frames(session, clip)
        next(frames)
        yield told("seconds to the first frame, compiled", time.perf_counter() - start, f"{size.objects[0]} objects")
        for _ in range(size.warm):
            next(frames)
        yield told("seconds to full memories, compiled", time.perf_counter() - start, f"{size.warm} frames on")


def compiled(dry: bool) -> Iterator[Figure]:
    """With this tracker's parts compiled."""
    size = _compiled(dry)
    tracker, clip = Sam2Tracker(size.config), size.clip
    show_objects(tracker._model)
    yield from _own(tracker, clip, size, {})
    yield from _busy(tracker, clip, size)


def official_compiled(dry: bool) -> Iterator[Figure]:
    """With the official predictor's parts compiled, in the mode in which this tracker's are."""
    size = _compiled(dry)
    tracker, clip = Sam2Tracker(changed(size.config, {"sam2.compiled": False})), size.clip
    show_objects(tracker._model)
    with _default_mode():
        name, side, device = CONFIGS[size.config.sam2.model], size.config.sam2.image_size_px, size.config.device
        official = official_predictor(tracker._model, name, side, device, vos_optimized=not dry)
    for objects in size.objects:
        seconds = _official(official, clip, size, objects)
        yield told(f"official: frames/s, {objects} objects", 1 / seconds, f"{size.official_timed} frames, vos_optimized")


def _compiled(dry: bool) -> Size:
    """Sixteen objects first: the shapes of fewer are then compiled as the same."""
    if dry:
        return DRY
    return replace(
        LARGE, config=changed(LARGE.config, {"sam2.compiled": True}), objects=(16, 64, 4, 8, 32, 1), official_warm=10
    )


@contextmanager
def _default_mode() -> Iterator[None]:
    """`torch.compile` without autotuning, which takes the official predictor minutes."""
    import torch

    compiling = torch.compile

    def by_default(function: Any, mode: str | None = None, **options: Any) -> Any:
        return compiling(function, **options)

    with patch.object(torch, "compile", by_default):
        yield


def _own(tracker: Sam2Tracker, clip: Clip, size: Size, seconds: dict[int, float]) -> Iterator[Figure]:
    """Frames a second for each number of objects; seconds a frame are added to `seconds`."""
    for objects in size.objects:
        with smooth_masks(), own_session(tracker, clip, objects) as session:
            seconds[objects] = _seconds_a_frame(own_frames(session, clip), size.warm, size.timed)
        name, how = f"frames/s, {objects} objects", f"{size.timed} frames, run-length codes included"
        speed = 1 / seconds[objects]
        yield at_least(name, speed, BOUNDS[objects], how) if objects in BOUNDS else told(name, speed, how)
    if {1, 16} <= seconds.keys():
        yield at_most("time of 16 objects over that of one", seconds[16] / seconds[1], MOST_TIMES, "from the same run")


def _official(predictor: Any, clip: Clip, size: Size, objects: int) -> float:
    frames = official_frames(predictor, clip, objects, size.config.resolved(gpu=False).sam2.precision)
    return _seconds_a_frame(frames, size.official_warm, size.official_timed)


def _seconds_a_frame(frames: Iterator[object], warm: int, timed: int) -> float:
    for _ in range(warm):
        next(frames)
    synchronize()
    start = time.perf_counter()
    for _ in range(timed):
        next(frames)
    synchronize()
    return (time.perf_counter() - start) / timed


def _busy(tracker: Sam2Tracker, clip: Clip, size: Size) -> Iterator[Figure]:
    """Share of wall time in which kernels run; prints the longest ones."""
    import torch

    if not torch.cuda.is_available():
        return
    with smooth_masks(), own_session(tracker, clip, 16) as session:
        frames = own_frames(session, clip)
        for _ in range(size.warm):
            next(frames)
        synchronize()
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
            wall = _seconds_a_frame(frames, 0, size.timed) * size.timed
    averages = profile.key_averages()
    print(averages.table(sort_by="self_device_time_total", row_limit=40, max_name_column_width=100), flush=True)
    share = float(sum(event.self_device_time_total for event in averages)) / 1e6 / wall
    yield told("share of the time in which the GPU computes, 16 objects", share, "torch.profiler")
