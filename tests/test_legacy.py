"""A dataset that an earlier version wrote is read as it was: masks, boxes, samples, frames, endings and sources."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from storage.reader import Dataset

LEGACY = Path(__file__).parent / "fixtures" / "legacy"
EXPECTED = json.loads((LEGACY / "expected.json").read_text(encoding="utf-8"))
NAMES = sorted(EXPECTED["datasets"])


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """Name of a dataset of the fixture."""
    value: str = request.param
    return value


@pytest.fixture
def dataset(name: str) -> Dataset:
    """The dataset, as its folder is."""
    return Dataset(LEGACY / "datasets" / name)


@pytest.fixture
def expected(name: str) -> dict[str, Any]:
    """What the version that wrote it read."""
    content: dict[str, Any] = EXPECTED["datasets"][name]
    return content


def test_masks_and_boxes_are_those_that_were_written(dataset: Dataset, expected: dict[str, Any]) -> None:
    assert dataset.video_ids("masks") == sorted(expected["boxes"])
    for video_id, frames in expected["boxes"].items():
        for frame, boxes in frames.items():
            read = dataset.boxes(video_id, int(frame))
            assert {str(object_id): list(box) for object_id, box in read.items()} == boxes
            areas = {str(object_id): int(mask.sum()) for object_id, mask in dataset.masks(video_id, int(frame)).items()}
            assert areas == expected["mask_areas"][video_id][frame]


def test_samples_have_their_tasks_and_answers(dataset: Dataset, expected: dict[str, Any]) -> None:
    rows = dataset.table("samples").to_pylist()
    assert {row["sample_id"]: {"task": row["task"], "answer_ids": row["answer_ids"]} for row in rows} == expected["samples"]
    assert any(row["answer_ids"] for row in rows)


def test_every_frame_of_a_clip_is_a_picture_of_its_size(dataset: Dataset, expected: dict[str, Any]) -> None:
    from PIL import Image

    clips = dataset.table("clips").to_pylist()
    assert {clip["clip_id"] for clip in clips} == set(expected["frames"])
    for clip in clips:
        frames = dataset.frames(clip["video_id"], clip["clip_id"]).to_pylist()
        assert len(frames) == expected["frames"][clip["clip_id"]] > 0
        for frame in frames:
            assert Image.open(io.BytesIO(frame["jpeg"])).size == (clip["width"], clip["height"])


def test_endings_sources_and_bytes_are_as_they_were(dataset: Dataset, expected: dict[str, Any]) -> None:
    endings = [[row["video_id"], row["status"], row["reason"]] for row in dataset.outcomes.to_pylist()]
    assert endings == expected["outcomes"]
    assert dataset.manifest.content_hash == expected["content_hash"]
    assert {name: stage.key for name, stage in dataset.manifest.stages.items()} == {
        name: stage["key"] for name, stage in expected["stages"].items()
    }
    assert all(Path(str(dataset.source(video_id))).is_file() for video_id in dataset.video_ids())
    assert dataset.damaged_files() == []
