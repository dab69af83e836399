"""What a table is made of: parts, settings, steps, and the folders of trainings."""

from __future__ import annotations

from pathlib import Path

import pytest

from rl.paper.numbers import PaperError, tables, variants
from rl.paper.parameters import TABLES, ReproduceParameters
from rl.paper.table import Reproduction, StepKind
from rl.training.parameters import TRAININGS


def table(name: str, **given: object) -> Reproduction:
    return ReproduceParameters.model_validate({"table": name, **given}).reproduction()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without a setup file."""
    monkeypatch.chdir(tmp_path)


def test_every_table_has_a_form_of_its_own_and_is_found_by_number_too() -> None:
    assert list(TABLES) == [*(f"table-{number}" for number in range(1, 12)), "table-4.5", "table-a.9"]
    assert {TABLES[name].model_validate({}).reproduction().number for name in TABLES} == set(tables())
    assert table("table-A.9").number == table("A.9").number == "A.9"
    assert table("7").number == "7"


@pytest.mark.parametrize("name", ["table-12", "12", "table-0", "seven"])
def test_a_table_that_does_not_exist_is_one_sentence(name: str) -> None:
    with pytest.raises(PaperError, match=r"the paper has no table '.*': choose from 1, 2, "):
        table(name)


def test_parts_are_rows_that_can_be_run_and_table_4_is_asked_unmarked() -> None:
    assert [(part.row.name, part.benchmark, part.row.protocol) for part in table("4").parts] == [
        ("STVG-R1", "charades-sta", "unmarked"),
        ("STVG-R1", "tvgbench", "unmarked"),
    ]


def test_settings_of_markers_are_rendered_and_parts_of_the_preprocessing_built() -> None:
    assert [step.name for step in table("6").steps] == [
        "hcstvg-v1",
        "hcstvg-v1.theta-0",
        "hcstvg-v1.theta-0.25",
        "hcstvg-v1.theta-0.5",
    ]
    assert all(part.rerendered for part in [*table("5").parts, *table("6").parts] if part.changes)
    own = {part.setting: part.rerendered for part in table("11").parts if part.changes}
    assert own == {"every_frames-10000": False, "backward-false": False}
    assert {step.key for step in table("5").steps} >= {"hcstvg-v1-size-10", "hcstvg-v1-style-mix"}


def test_a_table_with_trainings_needs_their_dataset_first_and_each_once() -> None:
    names = [step.name for step in table("7").steps]
    assert names[:3] == ["hcstvg-v1", "hcstvg-v2", "stvg-r1-train"]
    assert names[3:] == ["training temporal", "training sft", "training paper"]


def test_every_training_of_the_paper_is_set_as_its_reward() -> None:
    rewards = {name: variant.given.get("reward", "") for name, variant in variants().items()}
    assert rewards == {**{name: name for name in rewards if name != "sft"}, "sft": ""}
    [temporal] = [part for part in table("7").parts if part.key == ("+GRPO", "hcstvg-v1")]
    asked = table("7", miniature=True).unnamed_training(temporal)
    assert (asked.recipe_name, asked.protocol, asked.steps) == ("sample", "unmarked", 2)
    assert asked.recipe == TRAININGS["sample"].model_validate({"steps": 2}).recipe


def test_a_miniature_has_folders_of_its_own() -> None:
    small, whole = table("1", miniature=True), table("1", root="here")
    assert (small.root, small.out, small.trainings) == (
        "datasets/miniature",
        "evaluations/miniature",
        "trainings/miniature",
    )
    assert (whole.root, whole.out) == ("here", "evaluations")
    needed = {
        step.name
        for number in tables()
        for step in table(number).steps
        if step.kind is not StepKind.TRAIN and "." not in step.name
    }
    assert needed == set(small.setup.builds), "every benchmark has its miniature"


def test_a_setup_that_is_none_and_a_dataset_of_unknown_origin_are_sentences(tmp_path: Path) -> None:
    (tmp_path / "setup.toml").write_text("[build]")
    with pytest.raises(PaperError, match=r"'setup.toml' is no setup of tables: build: Extra inputs"):
        table("1", file="setup.toml")
    with pytest.raises(PaperError, match=r"'none.toml' is no setup of tables: No such file"):
        table("1", file="none.toml")
    made = table("1")
    with pytest.raises(PaperError, match=r"'datasets/hcstvg-v1' is not built: build it by `stvg build hcstvg-v1`, or name"):
        made.build(made.parts[0])
