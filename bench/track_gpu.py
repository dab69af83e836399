"""SAM2.1-large at 1024 pixels in bfloat16 on a GPU: frames a second beside the official predictor, in the same run.

`python -m bench track_gpu` needs torch, NumPy and pure-Python packages only: frames are drawn in memory, not decoded, and masks
are thresholded but not run-length encoded, here as there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np

from bench.figures import Figure, NotRunError, at_least, at_most, told
from bench.official import official_predictor
from tasks.tracking.base import Budget, TrackConfig
from tasks.video.reader import Frames

CONFIG = TrackConfig(tracker="sam2", model="large", precision="bfloat16", device="cuda", budget=Budget(16_384, 0))
FRAMES, WARM, HEIGHT, WIDTH = 60, 20, 720, 1280
AIMS = {4: 2.0, 8: 3.0}
"""Objects -> times the official predictor's frames a second that are aimed for."""


class Drawn:
    """A video in memory, uint8 noise of the encoder's size, that says it is of another."""

    height, width, source = HEIGHT, WIDTH, None

    def __init__(self, side: int) -> None:
        self._frames = np.random.default_rng(0).integers(0, 255, (FRAMES, side, side, 3), dtype=np.uint8)

    def __len__(self) -> int:
        return FRAMES

    def frames(self, indices: Any) -> Frames:
        """Frames of consecutive indices."""
        return self._frames[indices.start : indices.stop]


def run() -> list[Figure]:
    """Measure everything.

    Raises:
        NotRunError: there is no GPU.
    """
    import torch

    if not torch.cuda.is_available():
        raise NotRunError("it needs a CUDA GPU")
    figures: list[Figure] = []
    for compiled in (False, True):
        figures += _beside(compiled)
    return [*figures, told("GPU", 0, torch.cuda.get_device_name())]


def _beside(compiled: bool) -> list[Figure]:
    from tasks.tracking.sam2.tracker import Sam2Tracker

    tracker = Sam2Tracker(replace(CONFIG, compiled=compiled))
    official = official_predictor(tracker._model, "l", CONFIG.image_size_px, "cuda", vos_optimized=compiled)
    ours = {count: _seconds(lambda count=count: _own(tracker, count)) for count in (1, 4, 8, 16)}
    theirs = {count: _seconds(lambda count=count: _their(official, tracker, count)) for count in (1, 4, 8, 16)}
    label = "compiled" if compiled else "not compiled"
    figures = []
    for count in (1, 4, 8):
        how = f"{1 / ours[count]:.1f} frames/s here, {1 / theirs[count]:.1f} there, {label}"
        times, name = theirs[count] / ours[count], f"times the official predictor's frames a second, {count} objects, {label}"
        figures.append(at_least(name, times, AIMS[count], how) if count in AIMS else told(name, times, how))
    slopes = [(seconds[16] - seconds[1]) / 15 for seconds in (ours, theirs)]
    figures.append(
        at_most(f"time of one more object over the official's, 1 to 16, {label}", slopes[0] / slopes[1], 0.25, "batched")
    )
    return [
        *figures,
        told(f"GPU busy share, 8 objects, {label}", _busy(lambda: _own(tracker, 8)), "kernel time over wall time"),
    ]


def _mask(number: int) -> Any:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[40 * number : 40 * number + 120, 60 * number : 60 * number + 200] = True
    return mask


def _own(tracker: Any, count: int) -> Callable[[], object]:
    """Opens a session; what is returned tracks one frame further."""
    from tasks.tracking.sam2.encoding import masks_of

    video: Any = Drawn(CONFIG.image_size_px)
    with (
        patch("tasks.tracking.sam2.tracker.open_video", lambda *_: video),
        tracker.open(video, range(FRAMES), 0, CONFIG.budget) as s,
    ):
        s.add(0, {number + 1: _mask(number) for number in range(count)})
    s._feed._windows = {}
    s._feed.frame = lambda index: video._frames[index]  # the threads ended with the block, and frames are at hand
    steps = s._forward(0, FRAMES - 1)
    return lambda: list(masks_of(next(steps)[2], HEIGHT, WIDTH, overlapping=True))


def _their(official: Any, tracker: Any, count: int) -> Callable[[], object]:
    """The same over the official predictor."""
    import torch

    images = _own_images(tracker)
    with patch("sam2.sam2_video_predictor.load_video_frames", lambda **_: (images, HEIGHT, WIDTH)), _running():
        state = official.init_state("drawn")
        for number in range(count):
            official.add_new_mask(state, 0, number + 1, _mask(number))
    steps = official.propagate_in_video(state, start_frame_idx=0)

    def step() -> object:
        with _running():
            return [(one[0] > 0).cpu().numpy() for one in next(steps)[2]]

    step()  # the prompted frame costs nothing
    torch.cuda.synchronize()
    return step


def _own_images(tracker: Any) -> Any:
    """Frames as the official loader gives them, on the device, so that neither side decodes or copies."""
    import torch

    drawn = Drawn(CONFIG.image_size_px)._frames
    return torch.from_numpy(drawn).to(tracker._model.device).permute(0, 3, 1, 2).float() / 255.0 - 0.5


def _running() -> Any:
    import contextlib

    import torch

    stack = contextlib.ExitStack()
    stack.enter_context(torch.inference_mode())
    stack.enter_context(torch.autocast("cuda", torch.bfloat16))
    return stack


def _seconds(opened: Callable[[], Callable[[], object]]) -> float:
    """Mean seconds of a frame once memories are full."""
    import torch

    step = opened()
    for _ in range(WARM):
        step()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(FRAMES - WARM - 2):
        step()
    torch.cuda.synchronize()
    return (time.perf_counter() - start) / (FRAMES - WARM - 2)


def _busy(opened: Callable[[], Callable[[], object]]) -> float:
    """Share of wall time during which the GPU computes."""
    import torch

    step = opened()
    for _ in range(WARM):
        step()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        start = time.perf_counter()
        for _ in range(10):
            step()
        torch.cuda.synchronize()
        wall = time.perf_counter() - start
    return float(sum(event.self_device_time_total for event in profile.key_averages())) / 1e6 / wall
