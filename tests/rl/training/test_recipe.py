from __future__ import annotations

from typing import Any

import pytest

from rl.training.recipe import GrpoRecipe, Recipe, RecipeError
from rl.training.recipes import RECIPES, check_rollout, recipe_named, recipe_values, sources, upgrade_recipe


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_every_value_says_where_it_is_from(recipe: Recipe) -> None:
    assert set(sources(recipe)) == set(recipe_values(recipe))
    assert all(sources(recipe).values())


def test_a_value_that_was_changed_is_not_the_papers() -> None:
    assert sources(recipe_named("stvg-r1"))["optimizer.learning_rate"] == "paper, section 4.1"
    assert sources(recipe_named("stvg-r1", {"optimizer.learning_rate": 1e-4}))["optimizer.learning_rate"].startswith("ours")


def test_the_papers_recipe_is_the_papers() -> None:
    paper = GrpoRecipe()
    assert RECIPES["stvg-r1"] == paper
    grpo, optimizer, batch, rollout = paper.grpo, paper.optimizer, paper.batch, paper.rollout
    assert (grpo.responses_per_prompt, optimizer.learning_rate, optimizer.schedule, batch.epochs) == (8, 1e-6, "linear", 1)
    assert (batch.prompts_per_device, batch.devices, paper.batch_size, paper.gpus) == (1, 8, 8, 8)
    assert (grpo.kl_weight, grpo.kl_estimator, grpo.normalize_by_std) == (0.04, "k3", True)
    assert grpo.loss_aggregation == "seq-mean-token-mean"
    assert (rollout.temperature, rollout.max_response_tokens, rollout.name) == (1.0, 1024, "vllm")
    assert paper.system.platform == "cuda"


def test_fine_tuning_has_the_values_that_the_paper_gives_for_its_model() -> None:
    grpo, sft = GrpoRecipe(), RECIPES["stvg-r1-sft"]
    assert all(getattr(sft, name) == getattr(grpo, name) for name in Recipe.model_fields)
    assert sft.kind == "sft"


def test_steps_are_whole_batches_of_all_epochs() -> None:
    assert RECIPES["stvg-r1"].total_steps(100) == 12
    assert recipe_named("stvg-r1", {"batch.epochs": 2}).total_steps(100) == 24
    assert recipe_named("stvg-r1").total_steps(100, steps=5) == 5
    with pytest.raises(RecipeError, match="a batch has 8 prompts, and there are 7"):
        RECIPES["stvg-r1"].total_steps(7)


@pytest.mark.parametrize(
    ("name", "changes", "sentence"),
    [
        ("paper", {}, "no recipe 'paper': choose from stvg-r1, sample, stvg-r1-sft, sample-sft"),
        ("sample-sft", {"grpo.kl_weight": 0.1}, "a recipe has no 'grpo': its values are"),
        ("sample", {"optimizer.lr": 1.0}, "a recipe has no 'optimizer.lr': its values are optimizer.learning_rate, "),
        ("sample", {"optimizer.learning_rate": -1.0}, r"'optimizer.learning_rate': .* greater than or equal to 0 \(got -1.0\)"),
        ("sample", {"optimizer.learning_rate": float("nan")}, r"'optimizer.learning_rate': .* \(got nan\)"),
        ("sample", {"batch.epochs": "three"}, r"'batch.epochs': Input should be a valid integer"),
        ("sample", {"optimizer.schedule": "stepwise"}, r"should be 'linear', 'constant' or 'cosine' \(got 'stepwise'\)"),
        ("sample", {"grpo.normalize_by_std": "often"}, "'grpo.normalize_by_std': Input should be a valid boolean"),
        ("sample", {"grpo.responses_per_prompt": 1}, "greater than or equal to 2"),
    ],
)
def test_what_no_recipe_can_have_is_named(name: str, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        recipe_named(name, changes)


def test_a_cpu_without_a_vllm_of_its_own_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipe_named("sample", {"rollout": "vllm"})
    monkeypatch.setattr("rl.training.recipes.find_spec", lambda name: None)
    with pytest.raises(RecipeError, match="on a CPU the rollout is 'transformers'"):
        check_rollout(recipe)
    monkeypatch.setattr("rl.training.recipes.find_spec", lambda name: name)
    check_rollout(recipe)


def test_flat_values_of_earlier_versions_are_read() -> None:
    recipe = upgrade_recipe("sample", {"n": 6, "steps": 3, "learning_rate": 1e-4, "loss": "token-mean", "rollout": "vllm"})
    assert isinstance(recipe, GrpoRecipe)
    assert (recipe.grpo.responses_per_prompt, recipe.grpo.loss_aggregation, recipe.rollout.name) == (6, "token-mean", "vllm")
    assert recipe.optimizer.learning_rate == 1e-4
    assert recipe.system.platform == "cpu", "other values are the recipe's"
