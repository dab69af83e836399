from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from infra.forms.benchmarks import BENCHMARKS, FolderParameters
from infra.forms.build import DetectorName, TrackerName
from tasks.build.workers import frames_spec, masks_spec
from tasks.detection.base import DETECTORS
from tasks.tracking.base import TRACKERS
from tasks.weights import WeightsError


def test_forms_offer_every_registered_detector_and_tracker() -> None:
    assert set(get_args(DetectorName)) == set(DETECTORS)
    assert set(get_args(TrackerName)) == set(TRACKERS)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_parameter_has_a_title_a_sentence_and_a_plain_type(name: str) -> None:
    schema = BENCHMARKS[name].model_json_schema()
    for field, shown in schema["properties"].items():
        assert shown["title"], field
        assert shown["description"].endswith("."), field
        assert "$ref" not in json.dumps(shown), f"{field} is not flat"
        if shown.get("type") in {"integer", "number"}:
            assert {"minimum", "exclusiveMinimum"} & set(shown), f"{field} has no lower bound"
            assert {"maximum", "exclusiveMaximum"} & set(shown), f"{field} has no upper bound"


def parameters(tmp_path: Path, **values: Any) -> FolderParameters:
    return FolderParameters(videos=str(tmp_path), root=str(tmp_path / "out"), **values)


@pytest.mark.parametrize(
    ("values", "masks_change", "frames_change"),
    [
        ({"workers": 7, "deadline_s": 9, "error_budget": 0.5}, False, False),
        ({"theta": 0.5}, False, True),
        ({"marker_size": 30}, False, True),
        ({"confidence": 0.5}, True, True),
        ({"backward": False}, True, True),
        ({"gpus_per_worker": 1}, False, False),
        ({"sam2_image_size": 512}, False, False),
    ],
)
def test_what_shapes_a_stage_and_nothing_else_changes_its_folder(
    tmp_path: Path, values: dict[str, Any], masks_change: bool, frames_change: bool
) -> None:
    plain, other = parameters(tmp_path).config(), parameters(tmp_path, **values).config()
    assert (masks_spec(plain).key != masks_spec(other).key) == masks_change
    assert (frames_spec(plain).key != frames_spec(other).key) == frames_change


def test_weights_are_known_by_content_not_by_place(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"weights")
    (tmp_path / "b.pt").write_bytes(b"weights")
    keys = {
        masks_spec(parameters(tmp_path, detector="yolo12n", detector_weights=str(tmp_path / n)).config()).key
        for n in ("a.pt", "b.pt")
    }
    assert len(keys) == 1


def test_missing_weights_are_one_sentence_that_says_where_they_were_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STVG_WEIGHTS", str(tmp_path / "weights"))
    with pytest.raises(WeightsError, match=r"no weight file 'yolo12x\.pt'.*weights/yolo12x\.pt.*STVG_WEIGHTS"):
        parameters(tmp_path, detector="yolo12x").config()
    assert parameters(tmp_path, detector="yolo12x", detector_weights="random").config().detect.weights is None


@pytest.mark.parametrize("name", ["../x", "a/b", "A", ".hidden", "-x"])
def test_a_dataset_name_cannot_lead_out_of_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValidationError):
        parameters(tmp_path, name=name)
