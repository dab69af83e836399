"""The JPEG of frame k shows frame k, from the file to the published dataset, for every file from the field that is done."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from storage.folders.open import folder_at
from storage.reader import Dataset
from tasks.benchmarks.samples import Benchmark, Clip, Sample, Task, VideoJob
from tasks.build.plan import Build
from tasks.build.run import run_build, run_here
from tasks.build.stages import BuildConfig
from tasks.video.reader import Source

LOST = {
    "cut_half.flv": "truncated",
    "decord__corrupted.mp4": "damaged",
    "moviepy__no_duration.webm": "black",
    "one_px.mkv": "too_small",
    "tiny16.mp4": "too_small",
    "zero_hole.mp4": "damaged",
}
CONCEALED = {"bitflips.mp4"}
"""Files whose damage decoders conceal, each in its own way."""
NOTED = {
    "concat_restart.mpg": "times_replaced",
    "two_streams_small_first.mp4": "several_streams",
}


@pytest.fixture(scope="module")
def truth(shared: Path) -> Mapping[str, Any]:
    """Frames and grey thumbnails of an independent sequential decode, by file."""
    files: Mapping[str, Any] = json.loads((shared / "cases" / "video" / "truth.json").read_text())
    return files


@pytest.fixture(scope="module")
def dataset(truth: Mapping[str, Any], shared: Path, tmp_path_factory: pytest.TempPathFactory, models_in_place: Any) -> Dataset:
    """The files, each with a sentence that needs no object, so that its frames are rendered without markers."""
    folder = shared / "cases" / "video"
    jobs = [
        VideoJob(
            Source(name, folder / name),
            (Clip(name),),
            (Sample(name, name, "It moves.", Task.TEMPORAL, 0.0, 0.5),),
        )
        for name in sorted(truth)
    ]
    build = Build(folder_at(tmp_path_factory.mktemp("field") / "set"), Benchmark(jobs), BuildConfig(detector="motion"))
    with models_in_place():
        run_build(build, run_here, lambda _: None, 1.0)
    return Dataset(build.folder)


def test_every_file_from_the_field_has_its_outcome(dataset: Dataset, truth: Mapping[str, Any]) -> None:
    rows = {row["video_id"]: row for row in dataset.outcomes.to_pylist()}
    assert {name: row["reason"] for name, row in rows.items() if row["status"] != "done"} == LOST
    noted = {name: row["reason"] for name, row in rows.items() if row["status"] == "done" and row["reason"]}
    assert noted.items() >= NOTED.items()
    assert set(rows) == set(truth)
    for name, reason in NOTED.items():
        assert dataset.rows("videos", name, ["note"]).column(0)[0].as_py(), reason


def test_the_jpeg_of_frame_k_shows_frame_k(dataset: Dataset, truth: Mapping[str, Any]) -> None:
    for name in sorted(set(dataset.video_ids("frames")) - CONCEALED):
        pictures = np.frombuffer(base64.b64decode(truth[name]["thumbnails_16x16_gray"]), np.uint8).reshape(-1, 16, 16)
        rows = dataset.frames(name, name, ["clip_id", "frame_index", "time_s", "jpeg"]).to_pylist()
        assert len(rows) >= 4
        times = [row["time_s"] for row in rows]
        assert times[0] == 0
        assert all(np.diff(times) > 0)
        for row in rows:
            image = cv2.imdecode(np.frombuffer(row["jpeg"], np.uint8), cv2.IMREAD_GRAYSCALE)
            small = cv2.resize(image, (16, 16), interpolation=cv2.INTER_AREA).astype(int)
            index = row["frame_index"]
            errors = np.abs(pictures.astype(int) - small).mean(axis=(1, 2))
            assert errors[index] < 8, (name, index)
            assert errors[index] <= errors.min() + 1, (name, index, int(errors.argmin()))
    assert len(dataset.video_ids("frames")) == len(truth) - len(LOST)
