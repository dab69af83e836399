from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from storage.folders.open import folder_at
from storage.manifest import DatasetError
from storage.reader import Dataset
from tasks.benchmarks.folder import read_folder
from tasks.build.plan import Build
from tasks.build.run import publish_build, run_frames, run_here, run_masks
from tasks.build.stages import BuildConfig
from tasks.preview.clip import write_object_clip
from tasks.video.reader import Source, open_video


@pytest.mark.usefixtures("models")
def test_a_clip_keeps_every_frame_and_its_time_and_tints_the_objects(tmp_path: Path, square_clip: Path) -> None:
    (tmp_path / "videos").mkdir()
    shutil.copy(square_clip, tmp_path / "videos" / "a.mp4")
    build = Build(folder_at(tmp_path / "set"), read_folder(tmp_path / "videos"), BuildConfig(detector="motion"))
    masks = run_masks(build, run_here, lambda _: None)
    publish_build(build, masks, run_frames(build, masks, run_here, lambda _: None), 0.0)
    data = Dataset(build.folder)
    made = open_video(Source("v", write_object_clip(data, "a.mp4", tmp_path / "clip.mp4")))
    source = open_video(Source("v", square_clip))
    assert made.timeline.times_s == pytest.approx(source.timeline.times_s, abs=2e-3)
    shown, plain = made.frames([20])[0].astype(int), source.frames([20])[0].astype(int)
    x1, y1, x2, y2 = data.boxes("a.mp4", 20)[2]
    assert abs(shown[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2] - plain[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2]).mean() > 20
    assert abs(shown[150:, :50] - plain[150:, :50]).mean() < 4
    assert "mask database" in build.folder.read("README.md").decode()
    with pytest.raises(DatasetError, match="no finished video 'none'"):
        write_object_clip(data, "none", tmp_path / "x.mp4")
