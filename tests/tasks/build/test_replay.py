"""One stage of one video again: the same rows, or what differs; and the traceback a build keeps as a sentence."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from storage.common.config import changed
from storage.folders.open import folder_at
from storage.manifest import DatasetError
from tasks.benchmarks.samples import Benchmark, Clip, VideoJob
from tasks.build.plan import Build
from tasks.build.replay import compare_rows, replay
from tasks.build.run import publish_build, run_frames, run_here, run_masks
from tasks.build.stages import BuildConfig
from tasks.video.reader import Source


@pytest.fixture
def build(tmp_path: Path, square_clip: Path, models: Any) -> Build:
    """A good video and a text file, built and published."""
    videos = tmp_path / "videos"
    videos.mkdir()
    shutil.copy(square_clip, videos / "a.mp4")
    (videos / "bad.mp4").write_text("no video at all, but long enough")
    jobs = [VideoJob(Source(name, videos / name), (Clip(name),)) for name in ("a.mp4", "bad.mp4")]
    made = Build(folder_at(tmp_path / "set"), Benchmark(jobs), BuildConfig(detector="motion"))
    masks = run_masks(made, run_here, lambda _: None)
    publish_build(made, masks, run_frames(made, masks, run_here, lambda _: None), 1.0)
    return made


def files(folder: Path) -> dict[str, tuple[int, int]]:
    stats = {str(path.relative_to(folder)): path.stat() for path in folder.rglob("*")}
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()}


@pytest.mark.parametrize("stage", ["masks", "frames"])
def test_the_same_inputs_give_the_stored_rows_and_the_dataset_is_left_alone(build: Build, tmp_path: Path, stage: Any) -> None:
    before = files(tmp_path / "set")
    found = replay(build, "a.mp4", stage, tmp_path / "scratch")
    assert (found.outcome.status, found.stored and found.stored.status, found.traceback) == ("done", "done", "")
    assert {d.table for d in found.differences} == ({"videos", "masks"} if stage == "masks" else {"clips", "frames"})
    assert all(d.equal and d.rows > 0 for d in found.differences)
    assert found.folder.child("parts").names("*.parquet")
    assert str(found.folder).startswith(str(tmp_path / "scratch"))
    assert files(tmp_path / "set") == before


def test_an_unforeseen_error_comes_with_its_traceback(build: Build, tmp_path: Path, models: Any, monkeypatch: Any) -> None:
    def broken(_video: Any, _indices: Any) -> Any:
        raise RuntimeError("out of luck")

    monkeypatch.setattr(models, "detect", broken)
    found = replay(build, "a.mp4", "masks", tmp_path / "scratch")
    assert (found.outcome.status, found.outcome.sentence) == ("failed", "RuntimeError: out of luck")
    assert found.traceback.startswith("Traceback")
    assert "in broken" in found.traceback
    assert found.stored is not None
    assert found.differences == []


def test_a_foreseen_ending_has_no_traceback(build: Build, tmp_path: Path) -> None:
    found = replay(build, "bad.mp4", "masks", tmp_path / "scratch")
    assert (found.outcome.reason, found.traceback) == ("not_a_video", "")
    assert found.stored is not None
    assert found.stored.reason == "not_a_video"
    assert replay(build, "bad.mp4", "frames", tmp_path / "scratch").stored is None
    with pytest.raises(DatasetError, match="built of 2 videos, and 'none' is none of them"):
        replay(build, "none", "masks", tmp_path / "scratch")


def test_what_differs_is_told_as_columns_and_the_first_frame() -> None:
    rows = pa.table({"frame_index": [0, 1, 2, 3], "area": [5, 5, 5, 5], "object_id": [1, 1, 1, 1]})
    other = pa.table({"frame_index": [0, 1, 2, 3], "area": [5, 5, 6, 7], "object_id": [1, 1, 1, 1]})
    assert compare_rows("masks", rows, rows).equal
    found = compare_rows("masks", other, rows)
    assert (found.columns, found.first_frame, found.equal) == (("area",), 2, False)
    shorter = compare_rows("masks", rows.slice(0, 2), rows)
    assert (shorter.rows, shorter.stored_rows, shorter.columns, shorter.first_frame) == (2, 4, (), 2)


def test_frames_need_masks_of_the_same_bytes(build: Build, tmp_path: Path) -> None:
    source = build.benchmark.jobs[0].source.path
    source.write_bytes(source.read_bytes() + b"\0\0\0\x08free")
    found = replay(build, "a.mp4", "frames", tmp_path / "scratch")
    assert (found.outcome.reason, found.stored) == ("changed", None)
    larger = replace(build, config=changed(build.config, {"markers.size": 40}))
    assert replay(larger, "a.mp4", "masks", tmp_path / "scratch").stored is None
