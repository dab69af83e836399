"""FiftyOne's labelled videos, held against the layout as its guides give it."""

from __future__ import annotations

import io
import json
import zlib
from base64 import b64decode
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel, ConfigDict

from storage.reader import Dataset
from tasks.exchange.base import ExportOptions, FormatError
from tasks.exchange.export import export_dataset
from tasks.video.reader import Source


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Point(Strict):
    x: float
    y: float


class Box(Strict):
    top_left: Point
    bottom_right: Point


class Object(Strict):
    type: str
    label: str
    bounding_box: Box
    mask: str
    index: int
    frame_number: int


class Objects(Strict):
    objects: list[Object]


class Frame(Strict):
    frame_number: int
    objects: Objects


class Support(Strict):
    ranges: str


class Event(Strict):
    type: str
    label: str
    support: Support


class Events(Strict):
    events: list[Event]


class Labels(Strict):
    frames: dict[str, Frame]
    events: Events


def labels(out: Path) -> tuple[dict[str, Any], dict[str, Labels]]:
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["type"] == "eta.core.datasets.LabeledVideoDataset"
    return manifest, {i["labels"]: Labels.model_validate_json((out / i["labels"]).read_text()) for i in manifest["index"]}


def test_labels_hold_every_mask_and_sentence(dataset: Dataset, tmp_path: Path) -> None:
    counts = export_dataset(dataset, "fiftyone", tmp_path / "out")
    manifest, told = labels(tmp_path / "out")
    assert counts == {"videos": 2, "masks": dataset.table("masks").num_rows, "sentences": 1}
    assert all(Path(item["data"]).is_file() for item in manifest["index"])
    masks = 0
    for name, label in told.items():
        video_id = name.removeprefix("labels/").removesuffix(".json")
        for key, frame in label.frames.items():
            assert int(key) == frame.frame_number
            stored = dataset.masks(video_id, frame.frame_number - 1)
            boxes = dataset.boxes(video_id, frame.frame_number - 1)
            for seen in frame.objects.objects:
                x1, y1, x2, y2 = boxes[seen.index]
                height, width = stored[seen.index].shape
                inside = np.load(io.BytesIO(zlib.decompress(b64decode(seen.mask))))
                assert np.array_equal(inside, stored[seen.index][y1:y2, x1:x2])
                box = seen.bounding_box
                assert (box.top_left.x * width, box.bottom_right.y * height) == pytest.approx((x1, y2))
                masks += 1
    assert masks == counts["masks"]
    [event] = told["labels/deep/a.mp4.json"].events.events
    assert (event.label, event.support.ranges) == ("The red one moves.", "6-25")


def test_media_are_copied_and_named_from_the_folder(dataset: Dataset, tmp_path: Path) -> None:
    export_dataset(dataset, "fiftyone", tmp_path / "out", ExportOptions(media=True))
    manifest, _ = labels(tmp_path / "out")
    assert [item["data"] for item in manifest["index"]] == ["data/b.mp4", "data/deep/a.mp4"]
    copied = (tmp_path / "out" / "data" / "b.mp4").read_bytes()
    assert copied == Path(str(dataset.source("b.mp4"))).read_bytes()


def test_a_folder_of_images_is_refused(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.exchange.fiftyone.source_of", lambda _data, name: Source(name, tmp_path, 10.0))
    with pytest.raises(FormatError, match=r"'b.mp4' is a folder of JPEGs.*export as coco"):
        export_dataset(dataset, "fiftyone", tmp_path / "out")
    assert not (tmp_path / "out").exists()
