from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rl.models.families import FAMILIES, ModelError, differences
from rl.models.registry import find_model, served_model
from tasks.markers.config import FramesConfig, MarkerConfig
from tasks.weights import WeightsError


@pytest.mark.parametrize(
    ("name", "folder", "family"),
    [
        ("qwen2.5-vl-7b", "Qwen2.5-VL-7B-Instruct", "qwen2.5-vl"),
        ("qwen2.5-vl-72b", "Qwen2.5-VL-72B-Instruct", "qwen2.5-vl"),
        ("qwen3-vl-8b", "Qwen3-VL-8B-Instruct", "qwen3-vl"),
        ("internvl3-8b", "InternVL3-8B-hf", "internvl3"),
        ("stvg-r1", "stvg-r1-model-7b", "qwen2.5-vl"),
    ],
)
def test_a_known_model_is_a_folder_of_the_weights(
    name: str, folder: str, family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STVG_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match=folder):
        find_model(name)
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "config.json").write_text("{}")
    found = find_model(name)
    assert found.family is FAMILIES[family]
    assert served_model(name).name == folder


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model 'gpt-9': choose from qwen2\.5-vl-7b"):
        find_model("gpt-9")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(ModelError, match="holds a 'llama': supported are qwen2_5_vl, qwen3_vl, internvl"):
        find_model(str(tmp_path))
    (tmp_path / "config.json").write_text("[")
    with pytest.raises(ModelError, match=r"its config\.json cannot be read"):
        find_model(str(tmp_path))
    with pytest.raises(ModelError, match="of what family is the served model 'mine'"):
        served_model("mine")
    assert served_model("mine", "qwen3-vl").family.coordinates == "thousandths"


def test_a_checkpoint_says_how_frames_were_shown_to_it(tiny: Any, tmp_path: Path) -> None:
    frames = FramesConfig(markers=MarkerConfig(style="upper", size=20.0))
    folder = tiny("tiny").weights.path
    assert differences(find_model(str(folder)), frames) == [], "nobody says"
    mine = tmp_path / "mine"
    mine.mkdir()
    for path in folder.iterdir():
        (mine / path.name).symlink_to(path)
    (mine / "stvg.json").write_text(json.dumps({"markers.style": "numbers", "markers.size": 20.0, "markers.theta": 0.125}))
    assert differences(find_model(str(mine)), frames) == [
        f"markers.style is upper in the dataset and was numbers in the training of {mine}",
        f"markers.theta is {frames.markers.theta} in the dataset and was 0.125 in the training of {mine}",
    ]
