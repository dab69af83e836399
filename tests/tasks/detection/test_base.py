"""What is asked of detectors, and how answers of those with an open vocabulary are read; no model is loaded here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from tasks.build.parameters import BENCHMARKS, BuildParameters
from tasks.build.stages import masks_spec
from tasks.detection.base import DETECTORS, OPEN_VOCABULARY, DetectorConfig
from tasks.detection.grounding_dino import best_prompts
from tasks.detection.vocabulary import COCO
from tasks.weights import WeightsError, find_weights


def test_prompts_are_read_from_one_line() -> None:
    assert DetectorConfig(name="florence-2", prompts=" a person, red dog ,,a person,").prompts == ("a person", "red dog")
    assert DetectorConfig(prompts="").prompts == DetectorConfig(prompts=" , ").prompts == ()
    assert len(set(COCO)) == 80


def test_known_probabilities_give_known_boxes_in_pixels() -> None:
    owners = np.array([-1, 0, -1, 1, 1, -1, -1])
    words = np.array(
        [
            [0.9, 0.6, 0.9, 0.1, 0.2, 0.9, 0.9, 0.0],  # the prompt `person`; what only divides does not count
            [0.0, 0.3, 0.0, 0.1, 0.8, 0.0, 0.0, 0.0],  # a word of `red dog`
            [0.9, 0.2, 0.9, 0.1, 0.2, 0.9, 0.9, 0.9],  # below the confidence
        ],
        np.float32,
    )
    boxes = np.array([[0.5, 0.5, 0.2, 0.4], [0.25, 0.75, 0.5, 0.5], [0.5, 0.5, 1, 1]], np.float32)
    found = best_prompts(words, boxes, owners, ("Person", "red dog"), 0.25, (100, 200))
    assert [(name, score) for _, name, score in found] == [("Person", pytest.approx(0.6)), ("red dog", pytest.approx(0.8))]
    assert [corners for corners, _, _ in found] == [pytest.approx([80, 30, 120, 70]), pytest.approx([0, 50, 100, 100])]


@pytest.mark.parametrize("name", ["motion", "people", "people+motion", "yolo12x", "scripted"])
def test_other_detectors_take_no_prompts(name: str) -> None:
    with pytest.raises(ValueError, match="takes no text prompts: leave them empty, or use grounding-dino or florence-2"):
        DetectorConfig(name=name, prompts=("dog",))


def test_names_of_open_vocabularies_are_registered() -> None:
    assert set(OPEN_VOCABULARY) <= set(DETECTORS)
    assert DetectorConfig(name="florence-2", prompts=("dog",)).prompts == ("dog",)


def parameters(tmp_path: Path, **values: Any) -> BuildParameters:
    return BENCHMARKS["folder"](videos=str(tmp_path), **values)


@pytest.mark.parametrize(("name", "folder"), [("grounding-dino", "grounding-dino-base"), ("florence-2", "florence-2-large")])
def test_the_forms_prompts_and_folder_reach_the_detector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, folder: str
) -> None:
    monkeypatch.setenv("STVG_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match=f"no weight file '{folder}': looked for .*put it there or set STVG_WEIGHTS"):
        parameters(tmp_path, detector=name).weights()
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "config.json").write_text("{}")
    given = parameters(tmp_path, detector={"name": name, "prompts": " a dog, red ball ,"})
    config, weights = given.config(), given.weights()
    assert config.detector.prompts == ("a dog", "red ball")
    assert weights.detector == find_weights(folder)
    plain = parameters(tmp_path, detector=name).config()
    assert plain.detector.prompts == ()
    assert masks_spec(plain, weights).key != masks_spec(config, weights).key
    with pytest.raises(WeightsError, match=f"'{name}' has no random weights"):
        parameters(tmp_path, detector={"name": name, "weights": "random"}).weights()


def test_a_form_with_prompts_that_nothing_reads_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="the detector 'yolo12x' takes no text prompts"):
        parameters(tmp_path, detector={"name": "yolo12x", "prompts": "dog"})
    assert parameters(tmp_path, detector={"name": "motion", "prompts": " , "}).config().detector.prompts == ()
