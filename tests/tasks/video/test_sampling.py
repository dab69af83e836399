from __future__ import annotations

import logging

import numpy as np
import pytest

from tasks.video.sampling import SamplingConfig, model_size, sample_frames
from tasks.video.timeline import Timeline


def constant(count: int, fps: float) -> Timeline:
    return Timeline(np.arange(count) / fps, count / fps)


@pytest.mark.parametrize(
    ("seconds", "fps", "frames", "size"),
    [
        (20, 25.0, 40, (364, 196)),
        (20, 30.0, 40, (364, 196)),
        (20, 23.976, 38, (364, 196)),
        (30, 25.0, 60, (308, 168)),
        (60, 25.0, 120, (196, 112)),
        (180, 25.0, 360, (140, 84)),
    ],
)
def test_the_budget_gives_the_sizes_models_were_trained_on(
    seconds: int, fps: float, frames: int, size: tuple[int, int]
) -> None:
    count = int(seconds * fps)
    shown = sample_frames(constant(count, fps), range(count), 2.0)
    assert len(shown) == frames
    assert model_size(1280, 720, len(shown), SamplingConfig()) == size


@pytest.mark.heavy
def test_sizes_and_frames_equal_those_of_qwen_vl_utils() -> None:
    logging.getLogger("qwen_vl_utils").setLevel(logging.ERROR)
    from qwen_vl_utils.vision_process import smart_nframes, smart_resize

    config, rng = SamplingConfig(), np.random.default_rng(0)
    for _ in range(300):
        fps, count = float(rng.choice([5, 10, 23.976, 24, 25, 29.97, 30, 60])), int(rng.integers(2, 4000))
        width, height = (int(side) for side in rng.integers(60, 2000, 2))
        shown = sample_frames(constant(count, fps), range(count), 2.0)
        theirs = smart_nframes({"fps": 2.0}, count, fps)
        assert len(shown) == theirs
        share = max(min(768 * 784, config.total_pixels / theirs * 2), int(config.min_pixels * 1.05))
        expected = smart_resize(height, width, 28, config.min_pixels, share)
        # theirs gives a side of 0 to long narrow frames
        assert model_size(width, height, theirs, config) == (max(expected[1], 28), max(expected[0], 28))


@pytest.mark.heavy
def test_indices_equal_those_of_qwen_vl_utils() -> None:
    import torch

    for count, fps in [(200, 25.0), (479, 23.976), (600, 30.0), (289, 29.97), (75, 12.0)]:
        shown = sample_frames(constant(count, fps), range(count), 2.0)
        theirs = torch.linspace(0, count - 1, len(shown)).round().long().tolist()
        assert shown == theirs


def test_a_variable_rate_is_sampled_evenly_in_time() -> None:
    times = np.concatenate([np.arange(100) / 50, 2 + np.arange(20) / 5])
    timeline = Timeline(times, 6.0)
    shown = sample_frames(timeline, range(120), 2.0)
    gaps = np.diff(timeline.times_s[shown])
    assert len(shown) == 12
    assert gaps.max() < 0.7
    assert gaps.min() > 0.35


def test_short_clips_keep_what_they_have() -> None:
    assert sample_frames(constant(3, 10), range(3), 2.0) == [0, 2]
    assert sample_frames(constant(50, 10), range(7, 8), 2.0) == [7, 7]
    shown = sample_frames(constant(100, 10), range(40, 61), 2.0)
    assert (shown[0], shown[-1], len(shown)) == (40, 60, 4)
