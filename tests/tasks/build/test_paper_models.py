"""The paper's detector and tracker are named where others take their place."""

from __future__ import annotations

import pytest

from storage.card import dataset_card
from tasks.build.paper_models import other_models_warning
from tasks.detection.base import DetectorConfig
from tasks.tracking.config import TrackerConfig


@pytest.mark.parametrize("benchmark", ["stvg-r1-train", "hcstvg-v2", "st-align-stvg"])
def test_a_benchmark_of_the_paper_with_other_models_is_warned_of_by_name(benchmark: str) -> None:
    warning = other_models_warning(benchmark, DetectorConfig(), TrackerConfig())
    assert warning.startswith(f"{benchmark} is built with nanodet-g with flow")
    assert "--detector yolo12x --tracker sam2" in warning
    tiny = other_models_warning(
        benchmark, DetectorConfig(), TrackerConfig.model_validate({"name": "sam2", "sam2": {"model": "tiny"}})
    )
    assert "nanodet-g with SAM2.1 tiny" in tiny


@pytest.mark.parametrize("benchmark", ["sample", "folder", "own"])
def test_own_videos_need_not_the_papers(benchmark: str) -> None:
    assert not other_models_warning(benchmark, DetectorConfig(), TrackerConfig())


def test_the_papers_models_need_no_warning() -> None:
    assert not other_models_warning("stvg-r1-train", DetectorConfig(name="yolo12x"), TrackerConfig(name="sam2"))


def test_the_card_says_which_models_a_dataset_has() -> None:
    params = {"masks": {"detector": {"name": "nanodet-g"}, "tracker": {"name": "flow"}}, "frames": {"markers": {}}}
    line = "Objects are found by `nanodet-g` and followed by `flow`: not the paper's, which are YOLO12x and SAM2.1."
    assert line in dataset_card("a", {}, {}, params).splitlines()
    assert "followed by" not in dataset_card("a", {}, {}, {"masks": {"recorded": {"kind": "own"}}})
