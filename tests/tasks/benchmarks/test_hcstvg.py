from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.benchmarks.folder import read_folder
from tasks.benchmarks.hcstvg import read_hcstvg
from tasks.benchmarks.samples import AnnotationError, VideoJob
from tasks.build.fingerprint import job_hash, job_stat

RECORD: dict[str, Any] = {
    "bbox": [[10.0, 20.0, 30.0, 40.0], [-5.0, 20.0, 30.0, 200.0]],
    "st_time": 1.0,
    "ed_time": 1.2,
    "st_frame": 11,
    "ed_frame": 12,
    "img_num": 200,
    "img_size": [120, 160],
    "English": " The man in red walks. ",
}


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    for name in ("0/a.mp4", "7/b.mkv", "notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def annotations(tmp_path: Path, value: Any) -> Path:
    path = tmp_path / "anno.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_hcstvg_frames_are_made_0_based_and_boxes_corners_inside_the_image(tmp_path: Path, videos: Path) -> None:
    benchmark = read_hcstvg(annotations(tmp_path, {"a.mp4": RECORD, "b.mkv": RECORD, "c.mp4": RECORD}), videos)
    job = benchmark.jobs[0]
    [sample] = job.samples
    assert (sample.start_frame, sample.end_frame, sample.start_s, sample.end_s) == (10, 11, 1.0, 1.2)
    assert sample.targets[0].boxes.tolist() == [[10, 20, 40, 60], [0, 20, 25, 120]]
    assert sample.targets[0].frames.tolist() == [10, 11]
    assert sample.sentence == "The man in red walks."
    assert [j.source.path for j in benchmark.jobs] == [videos / "0/a.mp4", videos / "7/b.mkv", videos / "c.mp4"]
    assert benchmark.records == {
        "samples": 3,
        "videos": 3,
        "records": 3,
        "videos missing": 1,
        "boxes clipped to the image": 3,
    }


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("{not json", "is not a JSON file"),
        ([RECORD], "must be a JSON object"),
        ({}, "must be a JSON object"),
        ({"a.mp4": {**RECORD, "English": None, "bbox": "x"}}, "wrong kind"),
        ({"a.mp4": {k: v for k, v in RECORD.items() if k != "English"}}, "lacks 'English'"),
        ({"a.mp4": 3}, "lacks 'bbox'"),
        ({"../../etc/passwd.mp4": RECORD}, "not a plain file name"),
        ({"a.mp4": {**RECORD, "st_frame": 0}}, "st_frame below 1"),
        ({"a.mp4": {**RECORD, "bbox": []}}, "no boxes"),
    ],
)
def test_hcstvg_refuses_what_it_is_not_in_one_sentence(tmp_path: Path, videos: Path, value: Any, said: str) -> None:
    with pytest.raises(AnnotationError, match=said) as error:
        read_hcstvg(annotations(tmp_path, value), videos)
    assert "\n" not in str(error.value)


def test_missing_files_and_folders_are_named(tmp_path: Path, videos: Path) -> None:
    with pytest.raises(AnnotationError, match="no annotation file"):
        read_hcstvg(tmp_path / "none.json", videos)
    with pytest.raises(AnnotationError, match="no folder of videos"):
        read_hcstvg(annotations(tmp_path, {"a.mp4": RECORD}), tmp_path / "nowhere")


def test_a_folder_gives_each_video_one_whole_clip(videos: Path) -> None:
    benchmark = read_folder(videos)
    assert [job.source.video_id for job in benchmark.jobs] == ["0/a.mp4", "7/b.mkv"]
    assert [(clip.start_s, clip.end_s) for job in benchmark.jobs for clip in job.clips] == [(0.0, None)] * 2


def test_folders_of_jpegs_need_a_rate(videos: Path) -> None:
    (videos / "frames").mkdir()
    (videos / "frames" / "0.jpg").write_bytes(b"x")
    assert len(read_folder(videos).jobs) == 2
    found = {job.source.video_id: job.source.fps for job in read_folder(videos, image_fps=5).jobs}
    assert found == {"0/a.mp4": None, "7/b.mkv": None, "frames": 5}


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path, videos: Path) -> None:
    (tmp_path / "secret.mp4").write_bytes(b"x")
    (videos / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    [source] = [job.source for job in read_folder(videos).jobs if job.source.video_id == "link.mp4"]
    assert source.unusable == "leads_out"
    assert (job_stat(VideoJob(source, ())), job_hash(VideoJob(source, ()))) == ([], "leads_out"), "nothing of it is read"


def test_a_folder_without_videos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="holds no video"):
        read_folder(tmp_path)


def test_times_and_boxes_that_disagree_are_counted(tmp_path: Path, videos: Path) -> None:
    longer = {**RECORD, "ed_time": 1.7}
    read = read_hcstvg(annotations(tmp_path, {"a.mp4": RECORD, "b.mkv": longer}), videos)
    assert read.records["times and boxes that disagree"] == 1


def test_issue_9_of_the_release_is_counted(shared: Path, tmp_path: Path) -> None:
    read = read_hcstvg(shared / "cases" / "hcstvg" / "issue9_times_and_boxes_disagree.json", tmp_path)
    assert read.records["times and boxes that disagree"] == 1
