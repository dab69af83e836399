from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from rl.training.recipe import RECIPES, Grpo, Recipe, RecipeError, recipe_named, sources
from rl.training.request import Training, read_training, write_training


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_every_value_says_where_it_is_from(recipe: Recipe) -> None:
    assert set(sources(recipe)) == {one.name for one in fields(recipe)}
    assert all(sources(recipe).values())


def test_the_papers_recipe_is_the_papers() -> None:
    paper = Grpo()
    assert RECIPES["stvg-r1"] == paper
    assert (paper.n, paper.learning_rate, paper.schedule, paper.epochs) == (8, 1e-6, "linear", 1)
    assert (paper.prompts_per_device, paper.devices, paper.batch, paper.gpus) == (1, 8, 8, 8)
    assert (paper.kl, paper.kl_estimator, paper.by_std, paper.loss) == (0.04, "k3", True, "seq-mean-token-mean")
    assert (paper.temperature, paper.max_answer_tokens, paper.rollout, paper.platform) == (1.0, 1024, "vllm", "cuda")


def test_fine_tuning_has_the_values_that_the_paper_gives_for_its_model() -> None:
    grpo, sft = Grpo(), RECIPES["stvg-r1-sft"]
    assert all(getattr(sft, one.name) == getattr(grpo, one.name) for one in fields(Recipe))
    assert sft.kind == "sft"


def test_steps_are_whole_batches_of_all_epochs() -> None:
    assert RECIPES["stvg-r1"].total_steps(100) == 12
    assert recipe_named("stvg-r1", {"epochs": 2}).total_steps(100) == 24
    assert recipe_named("stvg-r1", {"steps": 5}).total_steps(100) == 5
    with pytest.raises(RecipeError, match="a batch has 8 prompts, and there are 7"):
        RECIPES["stvg-r1"].total_steps(7)


@pytest.mark.parametrize(
    ("name", "changes", "told"),
    [
        ("paper", {}, "no recipe 'paper': choose from stvg-r1, sample, stvg-r1-sft, sample-sft"),
        ("sample-sft", {"kl": 0.1}, "a recipe has no 'kl': its values are"),
        ("sample", {"lr": 1.0}, "a recipe has no 'lr': its values are"),
        ("sample", {"learning_rate": -1.0}, "'learning_rate' must be a number and not below zero, not -1.0"),
        ("sample", {"learning_rate": float("nan")}, "'learning_rate' must be a number"),
        ("sample", {"steps": "three"}, "'steps' must be a number"),
        ("sample", {"schedule": "stepwise"}, "'schedule' is one of linear, constant, cosine, not 'stepwise'"),
        ("sample", {"by_std": 1}, "'by_std' is true or false, not 1"),
        ("sample", {"n": 1}, "'n' must be 2 or more"),
        ("sample", {"rollout": "vllm"}, "on a CPU the rollout is 'transformers'"),
    ],
)
def test_what_no_recipe_can_have_is_named(name: str, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        recipe_named(name, changes)


def test_a_request_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    asked = Training("sample", "models/tiny", ("rows-1", "rows-2"), "coupled", changes={"n": 2}, shown={"markers.size": 20.0})
    write_training(tmp_path, asked)
    assert read_training(tmp_path) == asked
    assert asked.chosen().n == 2
    (tmp_path / "run.json").write_text('{"recipe": 3}')
    with pytest.raises(RecipeError, match=r"run\.json is damaged"):
        read_training(tmp_path)
    with pytest.raises(RecipeError, match=r"not the folder of a training: it has no run\.json"):
        read_training(tmp_path / "nothing")
