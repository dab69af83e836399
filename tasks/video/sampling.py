"""Frame sampling and input size of clips: the pixel budget of section 3.1, computed as in qwen-vl-utils.

The paper's "R/(2D) pixels a frame" omits a factor: frames are merged in pairs, so each gets `total_pixels / frames * 2` pixels.
A 30 s clip of 16:9 frames has input frames of 308x168, not 96x96.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pydantic import Field

from storage.common.config import Config

if TYPE_CHECKING:
    from tasks.video.timeline import Timeline

FRAME_FACTOR = 2
"""Frames are merged in pairs, so their number is even."""
PIXEL_FACTOR = 28
"""Both sides of a frame are multiples of patch size 14 times spatial merge 2."""
MIN_FRAMES = 4
MAX_FRAMES = 768
MAX_FRAME_PIXELS = 768 * PIXEL_FACTOR**2


class SamplingConfig(Config):
    """Rate and pixel budget of the frames that a model sees (section 3.1)."""

    fps: float = Field(
        2,
        title="Frames per second",
        gt=0,
        le=30,
        description="Frames per second at which a model sees a clip (paper: 2).",
    )
    total_pixels: int = Field(
        2048 * PIXEL_FACTOR**2,
        title="Pixel budget",
        ge=100_000,
        le=100_000_000,
        description="Pixel budget of a clip as qwen-vl-utils counts it: half the pixels that its frames may have together.",
    )
    min_pixels: int = Field(
        16 * PIXEL_FACTOR**2,
        title="Least pixels",
        ge=PIXEL_FACTOR**2,
        le=MAX_FRAME_PIXELS,
        description="Least pixels of a frame, whatever the budget; the released code takes 16 * 28 * 28.",
    )


def sample_frames(timeline: Timeline, frames: range, fps: float) -> list[int]:
    """Indices of sampled frames: evenly spaced in time from the first to the last of `frames`.

    Args:
        timeline: frame times of the video.
        frames: consecutive native frame indices of the clip, not empty.
        fps: frames per second at which the clip is sampled.

    Returns:
        An even number of ascending indices; all of `frames` if there are fewer than requested, and a single frame twice.
    """
    import numpy as np

    count = len(frames)
    if count < FRAME_FACTOR:
        return [frames[0]] * FRAME_FACTOR
    target_count = min(max(count / timeline.fps * fps, MIN_FRAMES), MAX_FRAMES, count)
    count_even = math.floor(target_count / FRAME_FACTOR) * FRAME_FACTOR
    times = timeline.times_s[frames.start : frames.stop]
    positions = np.interp(np.linspace(times[0], times[-1], count_even), times, np.arange(count))
    return [frames.start + int(p) for p in np.round(positions)]


def model_size(width: int, height: int, frame_count: int, config: SamplingConfig) -> tuple[int, int]:
    """(width, height) in pixels of the model's input frames for a clip of `frame_count` frames.

    Args:
        width: native width in pixels.
        height: native height in pixels.
        frame_count: number of sampled frames.
        config: pixel budget.
    """
    share = config.total_pixels / frame_count * FRAME_FACTOR
    max_pixels = max(min(MAX_FRAME_PIXELS, share), int(config.min_pixels * 1.05))
    return smart_resize(width, height, config.min_pixels, max_pixels)


def smart_resize(width: int, height: int, min_pixels: float, max_pixels: float) -> tuple[int, int]:
    """Size with sides that are multiples of 28, closest to the native aspect ratio, within the bounds on pixels.

    Args:
        width: native width in pixels.
        height: native height in pixels.
        min_pixels: lower bound of width times height.
        max_pixels: upper bound of width times height.
    """
    w, h = (max(PIXEL_FACTOR, round(side / PIXEL_FACTOR) * PIXEL_FACTOR) for side in (width, height))
    if w * h > max_pixels:
        scale = math.sqrt(max_pixels / (width * height))
        w, h = (max(PIXEL_FACTOR, math.floor(side * scale / PIXEL_FACTOR) * PIXEL_FACTOR) for side in (width, height))
    elif w * h < min_pixels:
        scale = math.sqrt(min_pixels / (width * height))
        w, h = (math.ceil(side * scale / PIXEL_FACTOR) * PIXEL_FACTOR for side in (width, height))
    return w, h
