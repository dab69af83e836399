"""A small dataset of two videos, in folders, one of which has its objects a while only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from storage.folders.open import folder_at
from storage.reader import Dataset
from tasks.benchmarks.samples import Benchmark, Clip, Sample, Target, Task, VideoJob
from tasks.build.plan import Build
from tasks.build.run import run_build, run_here
from tasks.build.stages import BuildConfig
from tasks.video.reader import Source


@pytest.fixture
def dataset(tmp_path: Path, square_clip: Path, clip_factory: Callable[..., Path], models: Any) -> Dataset:
    """`deep/a.mp4`: a person throughout and a dog from frame 15; `b.mp4`: 24 frames, of which the first 6 show nobody."""
    assert models.opened == 0
    frames = [np.full((180, 240, 3), 20, np.uint8) for _ in range(24)]
    for index in range(6, 24):
        frames[index][10:50, 2 * index : 2 * index + 30] = (30, 230, 30)
    short = clip_factory(tmp_path / "videos" / "b.mp4", frames)
    target = Target.dense(5, [(10.0 + f, 20.0, 50.0 + f, 60.0) for f in range(5, 25)])
    sample = Sample("1", "a", "The red one moves.", Task.SPATIO_TEMPORAL, 0.5, 2.5, 5, 24, (target,))
    jobs = [
        VideoJob(Source("b.mp4", short), (Clip("b"),)),
        VideoJob(Source("deep/a.mp4", square_clip), (Clip("a"),), (sample,)),
    ]
    build = Build(folder_at(tmp_path / "set"), Benchmark(jobs), BuildConfig(detector="motion"))
    run_build(build, run_here, lambda _: None, 0.0)
    return Dataset(build.folder)
