"""A small published dataset of which some samples can be trained on and others cannot."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from storage.reader import Dataset
from tasks.benchmarks.samples import Benchmark, Clip, Sample, Target, Task, VideoJob
from tasks.build.plan import Build
from tasks.build.run import publish_build, run_frames, run_here, run_masks
from tasks.build.stages import BuildConfig
from tasks.video.reader import Source

RED = [(10.0 + f, 20.0, 50.0 + f, 60.0) for f in range(40)]
TARGET = (Target.dense(15, RED[15:25]),)
LATE, WHOLE = (0.5, 1.5, 15, 24), (1.5, 2.5, 15, 24)


def job(name: str, clip: Path, sentence: str) -> VideoJob:
    samples = (
        Sample(f"{name}/stvg", f"{name}/late", sentence, Task.SPATIO_TEMPORAL, *LATE, TARGET),
        Sample(f"{name}/again", f"{name}/whole", "The red square, again", Task.SPATIO_TEMPORAL, *WHOLE, TARGET),
        Sample(f"{name}/svg", f"{name}/late", "It moves.", Task.SPATIAL, *LATE, TARGET),
        Sample(f"{name}/when", f"{name}/late", "When?", Task.TEMPORAL, 0.0, 2.0),
    )
    clips = (Clip(f"{name}/late", 1.0, 4.0), Clip(f"{name}/whole"))
    return VideoJob(Source(f"{name}.mp4", clip), clips, samples)


@pytest.fixture(scope="session")
def trained_squares(
    tmp_path_factory: pytest.TempPathFactory, square_clip: Path, clip_factory: Callable[..., Path], models_in_place: Any
) -> Path:
    """A folder with the dataset and its own video, built once."""
    root = tmp_path_factory.mktemp("trained")
    grey = clip_factory(root / "grey.mp4", [np.full((180, 240, 3), 90, np.uint8)] * 20)
    nothing = Sample("grey/stvg", "grey", "It moves.", Task.SPATIO_TEMPORAL, 0.0, 1.0, 0, 9, (Target.dense(0, RED[:10]),))
    jobs = [job(name, square_clip, f"The {name} one moves.") for name in "abc"]
    jobs.append(VideoJob(Source("grey.mp4", grey), (Clip("grey"),), (nothing,)))
    build = Build(root / "datasets" / "squares", Benchmark(jobs), BuildConfig(detector="motion"))
    with models_in_place():
        tracked = run_masks(build, run_here, lambda _: None)
        publish_build(build, tracked, run_frames(build, tracked, run_here, lambda _: None), 1.0)
    return root


@pytest.fixture
def trained_dataset(tmp_path: Path, trained_squares: Path, models: Any) -> Dataset:
    """Three videos of two squares, four sentences each, and a grey one in which nothing is found."""
    assert models.opened == 0
    shutil.copytree(trained_squares, tmp_path, dirs_exist_ok=True)
    return Dataset(tmp_path / "datasets" / "squares")
