"""A Hugging Face dataset, loaded by `datasets` itself, without a network."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from storage.reader import Dataset
from storage.rle import decode_counts
from tasks.exchange import huggingface
from tasks.exchange.export import export_dataset


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("datasets.config.HF_DATASETS_OFFLINE", "huggingface_hub.constants.HF_HUB_OFFLINE"):
        monkeypatch.setattr(name, True)
    return None


def load(out: Path, tmp_path: Path, *table: str) -> Any:
    import datasets

    return datasets.load_dataset(str(out), *table, split="train", cache_dir=str(tmp_path / "cache"))


@pytest.mark.usefixtures("offline")
def test_datasets_loads_every_table_with_frames(dataset: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "out"
    counts = export_dataset(dataset, "hf", out)
    frames = load(out, tmp_path)
    stored = dataset.table("frames").to_pylist()
    assert counts["frames"] == len(frames) == len(stored) > 0
    for loaded, row in zip(frames, stored, strict=True):
        assert np.array_equal(np.asarray(loaded["image"]), np.asarray(Image.open(io.BytesIO(row["jpeg"]))))
        assert {k: v for k, v in loaded.items() if k != "image"} == {k: v for k, v in row.items() if k != "jpeg"}
    [sample] = load(out, tmp_path, "samples")
    assert sample == dataset.table("samples").to_pylist()[0]
    videos = {video["video_id"]: video for video in load(out, tmp_path, "videos")}
    assert "path" not in videos["b.mp4"]
    for row in load(out, tmp_path, "masks").select(range(0, counts["masks"], 7)):
        video = videos[row["video_id"]]
        mask = decode_counts(row["rle_counts"], video["height"], video["width"])
        assert np.array_equal(mask, dataset.masks(row["video_id"], row["frame_index"])[row["object_id"]])


@pytest.mark.usefixtures("offline")
def test_large_tables_go_into_several_files(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface, "_FILE_BYTES", 1)
    counts = export_dataset(dataset, "hf", tmp_path / "out")
    assert [p.name for p in sorted((tmp_path / "out" / "masks").iterdir())] == ["train-00000.parquet", "train-00001.parquet"]
    assert len(load(tmp_path / "out", tmp_path, "masks")) == counts["masks"]


def test_the_card_names_configurations_and_features(dataset: Dataset, tmp_path: Path) -> None:
    import yaml

    export_dataset(dataset, "hf", tmp_path / "out")
    _, head, text = (tmp_path / "out" / "README.md").read_text().split("---\n", 2)
    data = yaml.safe_load(head)
    assert [c["config_name"] for c in data["configs"] if c["default"]] == ["frames"]
    told = {info["config_name"]: info["features"] for info in data["dataset_info"]}
    assert {"name": "image", "dtype": "image"} in told["frames"]
    assert {"name": "rle_counts", "dtype": "binary"} in told["masks"]
    assert all(f"`{table}`" in text for table in told)
