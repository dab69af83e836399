"""YouTube-VIS: lists as long as their video, null where an object is out of sight."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from pycocotools import mask as coco

from storage.reader import Dataset
from tasks.exchange.base import ExportOptions
from tasks.exchange.export import export_dataset


def test_each_object_has_a_mask_or_null_for_each_frame(dataset: Dataset, tmp_path: Path) -> None:
    export_dataset(dataset, "ytvis", tmp_path / "out")
    told = json.loads((tmp_path / "out" / "annotations.json").read_text())
    videos = {video["id"]: video for video in told["videos"]}
    assert [(v["length"], v["file_names"][0]) for v in videos.values()] == [
        (24, "b.mp4/000000.jpg"),
        (40, "deep/a.mp4/000000.jpg"),
    ]
    assert [a["id"] for a in told["annotations"]] == [1, 2, 3]
    masks = 0
    for annotation in told["annotations"]:
        video = videos[annotation["video_id"]]
        name = str(Path(video["file_names"][0]).parent)
        lists = [annotation[key] for key in ("segmentations", "bboxes", "areas")]
        assert {len(values) for values in lists} == {video["length"]} == {annotation["length"]}
        assert (annotation["width"], annotation["height"]) == (video["width"], video["height"])
        for frame, (code, box, area) in enumerate(zip(*lists, strict=True)):
            mask = dataset.masks(name, frame).get(annotation["track_id"])
            assert (code is None) == (box is None) == (area is None) == (mask is None)
            if mask is not None:
                assert np.array_equal(coco.decode(code).astype(bool), mask)
                assert area == mask.sum()
                assert box == list(map(int, coco.toBbox(code)))
                masks += 1
    assert masks == dataset.table("masks").num_rows
    assert {c["name"] for c in told["categories"]} == {"person", "dog"}


def test_images_are_those_that_are_named(dataset: Dataset, tmp_path: Path) -> None:
    export_dataset(dataset, "ytvis", tmp_path / "out", ExportOptions(every=8, media=True))
    told = json.loads((tmp_path / "out" / "annotations.json").read_text())
    named = sorted(name for video in told["videos"] for name in video["file_names"])
    below = tmp_path / "out" / "JPEGImages"
    assert sorted(path.relative_to(below).as_posix() for path in below.rglob("*.jpg")) == named
    assert [video["length"] for video in told["videos"]] == [3, 5]
