"""COCO, read back by pycocotools."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from pycocotools.coco import COCO

from storage.reader import Dataset
from tasks.exchange.base import ExportOptions
from tasks.exchange.export import export_dataset


def test_pycocotools_reads_equal_masks_boxes_and_areas(dataset: Dataset, tmp_path: Path) -> None:
    counts = export_dataset(dataset, "coco", tmp_path / "out")
    coco = COCO(str(tmp_path / "out" / "annotations.json"))
    assert counts == {"videos": 2, "images": 64, "annotations": len(coco.anns)}
    names = {category["id"]: category["name"] for category in coco.loadCats(coco.getCatIds())}
    assert names == {1: "dog", 2: "person"}
    videos = {video["id"]: video["name"] for video in coco.dataset["videos"]}
    seen = 0
    for image in coco.imgs.values():
        masks = dataset.masks(videos[image["video_id"]], image["frame_id"])
        told = {a["track_id"]: a for a in coco.imgToAnns[image["id"]]}
        assert told.keys() == masks.keys()
        for object_id, mask in masks.items():
            annotation = told[object_id]
            assert np.array_equal(coco.annToMask(annotation).astype(bool), mask)
            assert annotation["area"] == mask.sum()
            x, y, w, h = annotation["bbox"]
            assert (x, y, x + w, y + h) == dataset.boxes(videos[image["video_id"]], image["frame_id"])[object_id]
            seen += 1
    assert seen == len(coco.anns) == dataset.table("masks").num_rows
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["annotations.json"]


def test_every_so_many_frames_with_their_images(dataset: Dataset, tmp_path: Path) -> None:
    counts = export_dataset(dataset, "coco", tmp_path / "out", ExportOptions(every=10, media=True))
    assert counts["images"] == 3 + 4
    coco = COCO(str(tmp_path / "out" / "annotations.json"))
    for image in coco.imgs.values():
        pixels = cv2.imread(str(tmp_path / "out" / "images" / image["file_name"]))
        assert pixels is not None
        assert pixels.shape[:2] == (image["height"], image["width"])
        for annotation in coco.imgToAnns[image["id"]]:
            mask = coco.annToMask(annotation).astype(bool)
            bright = 2 if coco.cats[annotation["category_id"]]["name"] == "person" else 1
            assert pixels[mask].mean(axis=0).argmax() == bright
    assert len(list((tmp_path / "out" / "images").rglob("*.jpg"))) == 7
