from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from storage.stages import StageSpec
from tasks.build.parameters import BENCHMARKS, BuildParameters
from tasks.build.stages import BuildConfig, frames_spec, masks_spec
from tasks.detection.base import DETECTORS, DetectorName
from tasks.tracking.annotator import NO_WEIGHTS
from tasks.tracking.base import TRACKERS
from tasks.tracking.config import TrackerName
from tasks.weights import WeightsError


def test_forms_offer_every_registered_detector_and_tracker() -> None:
    assert set(get_args(DetectorName)) == set(DETECTORS)
    assert set(get_args(TrackerName)) == set(TRACKERS)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_parameter_has_a_title_a_sentence_and_a_plain_type(name: str) -> None:
    schema = BENCHMARKS[name].model_json_schema()
    groups = schema["$defs"].values()
    assert all(group["description"] for group in groups)
    fields = [pair for group in (schema, *groups) for pair in group["properties"].items()]
    for field, shown in fields:
        if "$ref" not in shown:
            assert shown["description"].endswith("."), field
            assert shown["title"], field
            assert "anyOf" not in shown, f"{field} has several types"
        if shown.get("type") in {"integer", "number"}:
            assert {"minimum", "exclusiveMinimum"} & set(shown), f"{field} has no lower bound"
            assert {"maximum", "exclusiveMaximum"} & set(shown), f"{field} has no upper bound"


def parameters(tmp_path: Path, **values: Any) -> BuildParameters:
    return BENCHMARKS["folder"](videos=str(tmp_path), root=str(tmp_path / "out"), **values)


@pytest.mark.parametrize(
    ("values", "masks_change", "frames_change"),
    [
        ({"pool": {"workers": 7, "deadline_s": 9}, "error_budget": 0.5}, False, False),
        ({"markers": {"theta": 0.5}}, False, True),
        ({"markers": {"size": 30}}, False, True),
        ({"detector": {"confidence": 0.5}}, True, True),
        ({"tracker": {"backward": False}}, True, True),
        ({"pool": {"gpus_per_worker": 1}}, False, False),
        ({"tracker": {"sam2": {"image_size_px": 512}}}, False, False),
        ({"limits": {"max_objects": 3}}, False, False),
    ],
)
def test_what_shapes_a_stage_and_nothing_else_changes_its_folder(
    tmp_path: Path, values: dict[str, Any], masks_change: bool, frames_change: bool
) -> None:
    plain, other = parameters(tmp_path).config(), parameters(tmp_path, **values).config()
    (masks, frames), (other_masks, other_frames) = specs(plain), specs(other)
    assert (masks.key != other_masks.key) == masks_change
    assert (frames.key != other_frames.key) == frames_change


def specs(config: BuildConfig) -> tuple[StageSpec, StageSpec]:
    masks = masks_spec(config, NO_WEIGHTS)
    return masks, frames_spec(config, masks)


def test_weights_are_known_by_content_not_by_place(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"weights")
    (tmp_path / "b.pt").write_bytes(b"weights")
    keys = {
        masks_spec(given.config(), given.weights()).key
        for n in ("a.pt", "b.pt")
        for given in [parameters(tmp_path, detector={"name": "yolo12n", "weights": str(tmp_path / n)})]
    }
    assert len(keys) == 1


def test_missing_weights_are_one_sentence_that_says_where_they_were_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STVG_WEIGHTS", str(tmp_path / "weights"))
    with pytest.raises(WeightsError, match=r"no weight file 'yolo12x\.pt'.*weights/yolo12x\.pt.*STVG_WEIGHTS"):
        parameters(tmp_path, detector="yolo12x").weights()
    assert parameters(tmp_path, detector={"name": "yolo12x", "weights": "random"}).weights().detector is None


@pytest.mark.parametrize("name", ["../x", "a/b", "A", ".hidden", "-x"])
def test_a_dataset_name_cannot_lead_out_of_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValidationError):
        parameters(tmp_path, name=name)
