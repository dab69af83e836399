"""What is found before a training starts: its rows, its folder, its disk; and whose the GPUs are."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pydantic import ValidationError

from infra.ray import gpus as ray_gpus
from infra.ray.gpus import Gpu
from infra.ray.session import ClusterError
from infra.ray.train_job import training_job
from rl.evaluation.sweep import SweepError
from rl.models.families import ModelError
from rl.rewards import RewardError
from rl.training.parameters import TRAININGS, TrainParameters
from rl.training.prepare import count_weights, prepare_run
from rl.training.recipe import RecipeError
from rl.training.recipes import RECIPES, recipe_named
from rl.training.records import read_run
from storage.manifest import DatasetError
from storage.reader import Dataset

Asked = Callable[..., TrainParameters]


@pytest.fixture
def asked(trained_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Parameters of a training of the tiny model on three small videos."""
    monkeypatch.chdir(tmp_path)
    usual = {"dataset": str(trained_dataset.folder), "out": str(tmp_path / "trainings"), "validation": 0.4, "model": "tiny"}
    return lambda **given: TRAININGS["sample"].model_validate({**usual, **given})


def test_every_recipe_has_its_form() -> None:
    assert set(TRAININGS) == set(RECIPES)
    assert {name: made.recipe_name for name, made in TRAININGS.items()} == {name: name for name in RECIPES}
    assert {name: made.model_fields["recipe"].default for name, made in TRAININGS.items()} == RECIPES


def test_values_of_a_recipe_are_changed_by_their_paths_and_the_others_are_the_recipes(asked: Asked) -> None:
    optimizer = {"learning_rate": 1e-4, "schedule": "constant"}
    parameters = asked(recipe={"grpo": {"responses_per_prompt": 6, "normalize_by_std": False}, "optimizer": optimizer})
    changes = {"grpo.responses_per_prompt": 6, "grpo.normalize_by_std": False}
    assert parameters.recipe == recipe_named("sample", {**changes, **{f"optimizer.{k}": v for k, v in optimizer.items()}})
    assert asked().recipe == RECIPES["sample"]
    with pytest.raises(ValidationError, match=r"recipe\.optimizer\.rate"):
        asked(recipe={"optimizer": {"rate": 3}})
    with pytest.raises(ValidationError, match=r"recipe\.grpo\.responses_per_prompt"):
        asked(recipe={"grpo": {"responses_per_prompt": 1}})


def test_a_prepared_training_says_what_it_is_made_of(asked: Asked, trained_dataset: Dataset) -> None:
    prepared = prepare_run(asked(steps=2))
    training = read_run(prepared.folder)
    assert training == prepared.run
    assert training.dataset.content_hash == trained_dataset.manifest.content_hash
    assert training.rendering["markers.size"] == 20.0, "so that a dataset shown otherwise is noticed"
    assert prepared.steps == 2
    assert prepared.rows[0].record.counts["train"] > 0
    assert prepare_run(asked(steps=2)) == prepared, "the same again goes on in the same folder"


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"dataset": "none"}, DatasetError, "none"),
        ({"model": "gpt"}, ModelError, "there is no model 'gpt'"),
        ({"reward": "applause"}, RewardError, "there is no reward 'applause'"),
        ({"recipe": {"batch": {"devices": 100}}}, RecipeError, "a batch has 200 prompts"),
        ({"evaluate": ["imagenet"]}, RecipeError, "there is no benchmark 'imagenet'"),
        ({"sweep": "none.toml"}, SweepError, "none.toml' is no sweep"),
    ],
)
def test_what_is_not_there_is_said_before_anything_starts(
    asked: Asked, given: dict[str, Any], error: type[Exception], said: str
) -> None:
    parameters = asked(**given)
    with pytest.raises(error, match=said):
        prepare_run(parameters)
    assert not parameters.folder.exists(), "nothing half-written"


def test_a_folder_with_another_training_is_left_alone(asked: Asked) -> None:
    before = prepare_run(asked(steps=2))
    with pytest.raises(RecipeError, match="holds a training with another reward: give this one a --name"):
        prepare_run(asked(steps=2, reward="coupled"))
    assert read_run(before.folder) == before.run


def test_fine_tuning_has_no_reward_and_a_folder_of_its_own(asked: Asked) -> None:
    given = asked(steps=2).model_dump(exclude={"reward", "recipe"})
    prepared = prepare_run(TRAININGS["sample-sft"].model_validate(given))
    assert prepared.run.reward is None
    assert prepared.recipe.kind == "sft"
    assert prepared.folder != asked(steps=2).folder
    with pytest.raises(ValidationError, match="reward"):
        TRAININGS["sample-sft"].model_validate({**given, "reward": "paper"})


def test_a_disk_without_room_for_checkpoints_is_refused(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1000))
    with pytest.raises(RecipeError, match=r"checkpoints need 0 GB, and the disk of .* has 0 GB free"):
        prepare_run(asked(steps=2))


def test_weights_are_counted_by_the_headers_of_their_files(asked: Asked) -> None:
    from transformers import AutoModelForImageTextToText

    prepared = prepare_run(asked(steps=2))
    folder = Path(prepared.run.model)
    model = AutoModelForImageTextToText.from_pretrained(folder)
    assert count_weights(folder) == sum(weight.numel() for weight in model.parameters())


def test_a_jobs_id_is_that_of_its_run(asked: Asked) -> None:
    job = training_job(asked(ray="http://a:1"))
    assert job.stem == training_job(asked(ray="http://b:2", hours=3)).stem
    assert job.stem != training_job(asked(ray="http://a:1", name="other")).stem
    assert job.command[-1] == job.folder


def test_memory_that_stays_in_use_is_told_with_its_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_gpus, "_TIMEOUT_S", -1)
    before = [Gpu("a", 0, "H100", 10, 80_000, ()), Gpu("a", 1, "H100", 30_000, 80_000, (7,))]
    after = [Gpu("a", 0, "H100", 40_000, 80_000, (11, 12)), before[1]]
    monkeypatch.setattr(ray_gpus, "gpus", lambda _: after)
    with pytest.raises(ClusterError, match=r"not free: GPU 0 of a \(40000 of 80000 MiB in use, processes 11, 12\)$"):
        ray_gpus.wait_until_free("http://a", before)
    monkeypatch.setattr(ray_gpus, "gpus", lambda _: before)
    ray_gpus.wait_until_free("http://a", before)


def test_gpus_are_read_from_what_a_dashboard_tells() -> None:
    told = {
        "index": 1,
        "name": "H100",
        "memoryUsed": 12,
        "memoryTotal": 81559,
        "processesPids": [{"pid": 3, "gpuMemoryUsage": 9}],
    }
    assert ray_gpus._gpu({"hostname": "node"}, told) == Gpu("node", 1, "H100", 12, 81559, (3,))
    assert ray_gpus._gpu({"hostname": "node"}, {"index": 0, "processesPids": None}) == Gpu("node", 0, "", 0, 0, ())
