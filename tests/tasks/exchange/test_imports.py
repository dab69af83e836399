"""Datasets built from recorded masks: the same steps and outcomes as any build."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from storage.folders.open import folder_at
from storage.manifest import Manifest
from storage.reader import Dataset
from storage.rle import encode_counts
from tasks.benchmarks.hcstvg import read_hcstvg
from tasks.benchmarks.samples import AnnotationError
from tasks.build.plan import Build, plan_masks
from tasks.build.run import run_build, run_here
from tasks.build.stages import ImportConfig
from tasks.exchange.imports import RecordedConfig, recorded_videos, with_masks
from tasks.metrics.arrays import lost_samples

SIZE = (180, 240)


def record(folder: Path, stem: str, frames: Mapping[int, Mapping[str, Any]]) -> Path:
    place = folder / stem / "mask_data"
    place.mkdir(parents=True, exist_ok=True)
    for frame, objects in frames.items():
        told = {"height": SIZE[0], "width": SIZE[1], "objects": objects}
        (place / f"mask_{frame}.json").write_text(json.dumps(told))
    return place


def square(x: int, size: tuple[int, int] = SIZE) -> dict[str, Any]:
    mask = np.zeros(size, np.bool_)
    mask[10:50, x : x + 30] = True
    return {"class_name": "person", "box": None, "rle": {"size": list(size), "counts": encode_counts(mask).decode()}}


@pytest.fixture
def videos(tmp_path: Path, clip_factory: Callable[..., Path]) -> Path:
    for name in ("a", "b"):
        clip_factory(tmp_path / "videos" / f"{name}.mp4", [np.full((*SIZE, 3), 40 + n, np.uint8) for n in range(20)])
    return tmp_path / "videos"


def build_of(tmp_path: Path, videos: Path) -> Build:
    benchmark = recorded_videos("released", tmp_path / "masks", videos)
    return Build(folder_at(tmp_path / "set"), benchmark, ImportConfig(recorded=RecordedConfig(layout="released")))


def run(build: Build) -> Manifest:
    return run_build(build, run_here, lambda _: None, 1.0)


def test_objects_keep_numbers_that_have_gaps(tmp_path: Path, videos: Path) -> None:
    record(tmp_path / "masks", "a", {n: {"12": square(n), "3": square(60)} if n > 4 else {} for n in range(20)})
    build = build_of(tmp_path, videos)
    assert run(build).counts == {"done": 1}
    data = Dataset(build.folder)
    assert data.boxes("a.mp4", 4) == {}
    assert data.boxes("a.mp4", 5) == {3: (60, 10, 90, 50), 12: (5, 10, 35, 50)}
    objects = data.rows("videos", "a.mp4").to_pylist()[0]["objects"]
    assert [(o["object_id"], o["found_at"], o["frames"], o["category"]) for o in objects] == [
        (3, 5, 15, "person"),
        (12, 5, 15, "person"),
    ]
    assert data.table("frames").num_rows > 0
    assert data.manifest.stages["masks"].params == {"recorded": {"layout": "released", "hold": True}}


def test_each_video_that_cannot_be_imported_has_its_reason(tmp_path: Path, videos: Path) -> None:
    masks = tmp_path / "masks"
    good = {n: {"1": square(n)} for n in range(20)}
    record(masks, "a", good)
    record(masks, "gone", good)
    for name, change in {
        "size": {"1": square(0, (64, 64))},
        "zero": {"0": square(0)},
        "text": {"1": {**square(0), "rle": {"size": list(SIZE), "counts": "nonsense"}}},
        "none": {"1": {**square(0), "rle": None}},
    }.items():
        (videos / f"{name}.mp4").write_bytes((videos / "b.mp4").read_bytes())
        record(masks, name, {**good, 7: change})
    (videos / "other.mp4").write_bytes((videos / "b.mp4").read_bytes())
    place = record(masks, "other", {})
    (place / "mask_0.json").write_text('{"height": 1, "width": 1, "objects": {}}')
    assert build_of(tmp_path, videos).benchmark.records == {"videos": 7, "videos missing": 1}
    made = run(build_of(tmp_path, videos))
    assert made.counts == {
        "done": 1,
        "quarantined: bad_masks": 4,
        "quarantined: missing": 1,
        "quarantined: size_differs": 1,
    }
    details = {row["video_id"]: row["detail"] for row in Dataset(tmp_path / "set").outcomes.to_pylist()}
    assert "0 is not an object ID: they count from 1" in details["zero.mp4"]
    assert "does not fill a mask of 240x180" in details["text.mp4"]
    assert "(240x180, masks 1x1)" in details["other.mp4"]


def test_frames_without_a_record_and_beyond_the_end_are_told(tmp_path: Path, videos: Path) -> None:
    record(tmp_path / "masks", "a", {n: {"1": square(n)} for n in (0, 5, 25, 30)})
    record(tmp_path / "masks", "b", {n: {"1": square(n)} for n in range(22)})
    build = build_of(tmp_path, videos)
    assert run(build).counts == {"done: masks_beyond_video": 1, "done: masks_on_some_frames": 1}
    details = [row["detail"] for row in Dataset(build.folder).outcomes.to_pylist()]
    assert details == [
        "only 2 of its 20 frames have masks; masks of 2 frames beyond its end are left out",
        "masks of 2 frames beyond its end are left out",
    ]


def test_changed_masks_are_imported_again_and_others_are_not(tmp_path: Path, videos: Path) -> None:
    good = {n: {"1": square(n)} for n in range(20)}
    for name in ("a", "b"):
        record(tmp_path / "masks", name, good)
    first = run(build_of(tmp_path, videos))
    assert plan_masks(build_of(tmp_path, videos)).counts() == {"done": 2}
    record(tmp_path / "masks", "b", {3: {"1": square(33)}})
    assert plan_masks(build_of(tmp_path, videos)).counts() == {"done": 1, "stale": 1}
    again = run(build_of(tmp_path, videos))
    assert again.content_hash != first.content_hash
    assert Dataset(tmp_path / "set").boxes("b.mp4", 3) == {1: (33, 10, 63, 50)}
    assert plan_masks(build_of(tmp_path, videos)).counts() == {"done": 2}


def test_sentences_of_a_benchmark_are_answered_by_recorded_masks(tmp_path: Path, videos: Path) -> None:
    record(tmp_path / "masks", "a", {n: {"7": square(n), "2": square(120)} for n in range(20)})
    record(tmp_path / "masks", "other", {0: {}})
    boxes = [[float(n), 10.0, 30.0, 40.0] for n in range(4, 16)]
    said = {"bbox": boxes, "st_time": 0.4, "ed_time": 1.6, "st_frame": 5, "img_num": 20, "img_size": list(SIZE)}
    told = {name: {**said, "English": "It moves."} for name in ("a.mp4", "b.mp4")}
    (tmp_path / "val.json").write_text(json.dumps(told))
    benchmark = with_masks(read_hcstvg(tmp_path / "val.json", videos), "released", tmp_path / "masks")
    assert (benchmark.records["videos without masks"], benchmark.records["masks left out"]) == (1, 1)
    build = Build(folder_at(tmp_path / "set"), benchmark, ImportConfig(recorded=RecordedConfig(layout="released")))
    assert run(build).counts == {"done": 1, "filtered: no_masks": 1}
    data = Dataset(build.folder)
    [sample] = data.table("samples").to_pylist()
    assert (sample["answer_ids"], sample["mean_iou"]) == ([7], 1.0)
    assert sum(lost_samples(data).values()) == 1
    record(tmp_path / "masks", "b", {n: {"1": square(n)} for n in range(20)})
    again = with_masks(read_hcstvg(tmp_path / "val.json", videos), "released", tmp_path / "masks")
    assert run(replace(build, benchmark=again)).counts == {"done": 2}


def test_videos_in_an_object_store_go_with_masks_on_disk(tmp_path: Path, videos: Path, bucket: str) -> None:
    record(tmp_path / "masks", "a", {n: {"1": square(n)} for n in range(20)})
    folder_at(f"{bucket}/in").write("deep/a.mp4", (videos / "a.mp4").read_bytes())
    build = Build(
        folder_at(f"{bucket}/set"),
        recorded_videos("released", tmp_path / "masks", f"{bucket}/in"),
        ImportConfig(recorded=RecordedConfig(layout="released")),
    )
    assert run(build).counts == {"done": 1}
    assert Dataset(build.folder).boxes("a.mp4", 3) == {1: (3, 10, 33, 50)}
    assert plan_masks(build).counts() == {"done": 1}


def test_nothing_to_import_and_masks_from_outside_are_refused(tmp_path: Path, videos: Path) -> None:
    (tmp_path / "masks").mkdir()
    with pytest.raises(AnnotationError, match="holds no masks in the layout 'released'"):
        build_of(tmp_path, videos)
    outside = record(tmp_path / "elsewhere", "a", {0: {}})
    (tmp_path / "masks" / "a").symlink_to(outside.parent)
    with pytest.raises(AnnotationError, match="holds no masks in the layout 'released'"):
        build_of(tmp_path, videos)
    with pytest.raises(AnnotationError, match="must be a folder on disk"):
        recorded_videos("released", "s3://bucket/masks", videos)
