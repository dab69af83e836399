from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.benchmarks.samples import AnnotationError
from tasks.benchmarks.stvg_r1_train import HcstvgTraining, LeakageError, VidstgTraining, held_out_names, read_stvg_r1_train

V1 = {"bbox": [[0, 0, 5, 5]], "st_time": 1.0, "ed_time": 1.2, "st_frame": 11, "caption": "He Walks.", "width": 9, "height": 9}
V2 = {**{k: v for k, v in V1.items() if k not in {"caption", "width", "height"}}, "English": "he  walks.", "img_size": [9, 9]}
VIDSTG = {
    "vid": "77", "frame_count": 40, "fps": 10.0, "width": 9, "height": 9, "used_segment": {"begin_fid": 0, "end_fid": 39},
    "temporal_gt": {"begin_fid": 3, "end_fid": 9}, "captions": [{"description": "a dog.", "type": "x", "target_id": 3}],
    "questions": [],
}  # fmt: skip

Parts = tuple[HcstvgTraining, VidstgTraining]


@pytest.fixture
def parts(tmp_path: Path) -> Callable[..., Parts]:
    """The files of a training set; keyword arguments replace one."""
    (tmp_path / "videos").mkdir()
    files: dict[str, Any] = {
        "v1": {"1_a.mp4": V1, "2_b.mp4": V1, "3_c.mkv": V1, "8_t.mp4": V1},
        "v2": {"1_a.mp4": V2, "2_b.mp4": {**V2, "English": "Another."}, "9_d.mp4": V2, "7_v.mp4": V2, "8_t.mp4": V2},
        "v1_test": {"8_t.mp4": V1},
        "v2_val": {"7_v.mp4": V2},
        "v2_test": {"3_c.mkv": "Who walks?"},
        "vidstg": [VIDSTG],
        "vidstg_val": ["78"],
    }

    def made(**changed: Any) -> Parts:
        paths = {name: tmp_path / f"{name}.json" for name in files}
        for name, value in {**files, **changed}.items():
            paths[name].write_text(json.dumps(value))
        videos = tmp_path / "videos"
        held_out = (paths["v1_test"], paths["v2_val"], paths["v2_test"])
        hcstvg = HcstvgTraining(paths["v1"], paths["v2"], held_out, videos)
        return hcstvg, VidstgTraining(paths["vidstg"], (paths["vidstg_val"],), videos, None)

    return made


def test_both_versions_are_merged_without_what_is_held_out(parts: Callable[..., Parts]) -> None:
    read = read_stvg_r1_train(*parts())
    samples = {s.sample_id: (job.source.video_id, s.clip_id) for job in read.jobs for s in job.samples}
    assert set(samples) == {"v2/1_a.mp4", "v1/2_b.mp4", "v2/2_b.mp4", "v2/9_d.mp4", "vidstg/0:captions:0"}
    assert samples["v1/2_b.mp4"] == samples["v2/2_b.mp4"] == ("hcstvg/2_b.mp4", "hcstvg/2_b.mp4")
    assert samples["vidstg/0:captions:0"][0] == "vidstg/77.mp4"
    told = {reason: count for reason, count in read.records.items() if "removed" in reason}
    assert told == {
        "hcstvg v2 train: removed, held out in v1_test.json": 1,
        "hcstvg v2 train: removed, held out in v2_val.json": 1,
        "hcstvg v1 train: removed, held out in v1_test.json": 1,
        "hcstvg v1 train: removed, held out in v2_test.json": 1,
        "hcstvg v1 train: removed, the same sentence stands in v2": 1,
    }
    assert (read.records["samples"], read.records["videos"]) == (5, 4)
    assert read.records["hcstvg v1 train: records"] == 4


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"v2_val": {"1_A.mkv": "x"}}, "leakage: 1 training videos are held out in .*v2_val.*'hcstvg/1_a.mp4' the first"),
        ({"vidstg_val": ["77"]}, "leakage: 1 training videos are held out in .*vidstg_val"),
        ({"vidstg_val": [VIDSTG]}, "leakage: 1"),
    ],
)
def test_leakage_is_an_error(parts: Callable[..., Parts], changed: dict[str, Any], said: str) -> None:
    with pytest.raises(LeakageError, match=said):
        read_stvg_r1_train(*parts(**changed))


@pytest.mark.parametrize("value", [{}, [], [3], "x", 7])
def test_a_held_out_file_must_name_videos(tmp_path: Path, value: Any) -> None:
    (tmp_path / "a.json").write_text(json.dumps(value))
    with pytest.raises(AnnotationError, match="names no videos to hold out"):
        held_out_names(tmp_path / "a.json")


def test_a_training_file_of_the_other_version_is_refused(parts: Callable[..., Parts]) -> None:
    with pytest.raises(AnnotationError, match="lacks 'caption': this is not HC-STVG v1"):
        read_stvg_r1_train(*parts(v1={"1_a.mp4": V2}))
