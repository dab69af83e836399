"""A small published dataset with a sample of each task, frames to be shown, and tiny models."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from rl.engines.base import VisualInput
from rl.models.families import Model
from rl.models.registry import find_model
from storage.reader import Dataset
from tasks.benchmarks.samples import Benchmark, Clip, Sample, Target, Task, VideoJob
from tasks.build.plan import Build
from tasks.build.run import publish_build, run_frames, run_here, run_masks
from tasks.build.stages import BuildConfig
from tasks.video.reader import Source

RED = [(10.0 + f, 20.0, 50.0 + f, 60.0) for f in range(40)]
TARGET = (Target.dense(15, RED[15:25]),)
LATE, WHOLE = (0.5, 1.5, 15, 24), (1.5, 2.5, 15, 24)
ASKED = (
    Sample("stvg", "late", "It moves.", Task.SPATIO_TEMPORAL, *LATE, TARGET),
    Sample("again", "whole", "The red square, again", Task.SPATIO_TEMPORAL, *WHOLE, TARGET),
    Sample("svg", "late", "It moves.", Task.SPATIAL, *LATE, TARGET),
    Sample("when", "late", "When?", Task.TEMPORAL, 0.0, 2.0),
    Sample("ask", "late", "What does it do?", Task.QUESTION, options=("A. stay", "B. move"), answer="B",
           group="TR/Text", record="0|multiple_choice"),
)  # fmt: skip


@pytest.fixture(scope="session")
def asked_squares(
    tmp_path_factory: pytest.TempPathFactory, square_clip: Path, clip_factory: Callable[..., Path], models_in_place: Any
) -> Path:
    """A folder with `asked_dataset` and its own video, built once."""
    root = tmp_path_factory.mktemp("asked")
    grey = clip_factory(root / "grey.mp4", [np.full((180, 240, 3), 90, np.uint8)] * 20)
    nothing = Sample("nothing", "grey", "It moves.", Task.SPATIO_TEMPORAL, 0.0, 1.0, 0, 9, (Target.dense(0, RED[:10]),))
    jobs = [
        VideoJob(Source("a.mp4", square_clip), (Clip("late", 1.0, 4.0), Clip("whole")), ASKED),
        VideoJob(Source("grey.mp4", grey), (Clip("grey"),), (nothing,)),
    ]
    build = Build(root / "datasets" / "squares", Benchmark(jobs), BuildConfig(detector="motion"))
    with models_in_place():
        tracked = run_masks(build, run_here, lambda _: None)
        publish_build(build, tracked, run_frames(build, tracked, run_here, lambda _: None), 1.0)
    return root


@pytest.fixture
def asked_dataset(tmp_path: Path, asked_squares: Path, models: Any) -> Dataset:
    """The clip of two squares with its samples, in two clips, and a grey video in which nothing is found."""
    assert models.opened == 0
    shutil.copytree(asked_squares, tmp_path, dirs_exist_ok=True)
    return Dataset(tmp_path / "datasets" / "squares")


@pytest.fixture(scope="session")
def tiny() -> Callable[[str], Model]:
    """A tiny model by name, generated once for all tests."""
    return find_model


@pytest.fixture(scope="session")
def visual() -> Callable[..., VisualInput]:
    """A video of coloured patches, as it would be stored."""

    def make(count: int = 8, fps: float = 2.0, size: tuple[int, int] = (364, 196), seed: int = 0) -> VisualInput:
        from PIL import Image

        draws, frames = np.random.default_rng(seed), []
        for _ in range(count):
            patches = draws.integers(0, 255, (size[1] // 14, size[0] // 14, 3), dtype=np.uint8)
            buffer = io.BytesIO()
            Image.fromarray(patches.repeat(14, 0).repeat(14, 1)).save(buffer, "JPEG", quality=95)
            frames.append(buffer.getvalue())
        medium: Any = "video" if count > 1 else "image"
        return VisualInput(tuple(frames), size, fps, medium=medium)

    return make
