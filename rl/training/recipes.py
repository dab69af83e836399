"""Recipes by name, the sources of their values, and recipes that earlier versions stored."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from importlib.util import find_spec
from typing import Any

from pydantic import JsonValue, ValidationError
from pydantic.fields import FieldInfo

from rl.training.recipe import (
    BatchConfig,
    GrpoConfig,
    GrpoRecipe,
    OptimizerConfig,
    Recipe,
    RecipeError,
    RolloutConfig,
    SftRecipe,
    SystemConfig,
)
from storage.common.config import changed, leaves
from storage.common.names import one_of

# Groups for a CPU and a tiny model.
_OPTIMIZER = OptimizerConfig(learning_rate=1e-3)
_BATCH = BatchConfig(prompts_per_device=2, devices=1, max_prompt_tokens=4096, max_responses_per_pass=8)
_SYSTEM = SystemConfig(platform="cpu", precision="float32", gradient_checkpointing=False, checkpoint_interval=1)

RECIPES: Mapping[str, GrpoRecipe | SftRecipe] = {
    "stvg-r1": GrpoRecipe(),
    "sample": GrpoRecipe(
        optimizer=_OPTIMIZER,
        batch=_BATCH,
        system=_SYSTEM,
        grpo=GrpoConfig(responses_per_prompt=4),
        rollout=RolloutConfig(name="transformers", max_response_tokens=64),
    ),
    "stvg-r1-sft": SftRecipe(),
    "sample-sft": SftRecipe(optimizer=_OPTIMIZER, batch=_BATCH, system=_SYSTEM),
}
"""GRPO and SFT of the paper on 8 GPUs of 80 GB, and both for a CPU and a tiny model."""

_FORMER = {
    "learning_rate": "optimizer.learning_rate",
    "schedule": "optimizer.schedule",
    "beta_1": "optimizer.beta_1",
    "beta_2": "optimizer.beta_2",
    "weight_decay": "optimizer.weight_decay",
    "clip_grad": "optimizer.max_grad_norm",
    "prompts_per_device": "batch.prompts_per_device",
    "devices": "batch.devices",
    "epochs": "batch.epochs",
    "max_prompt_tokens": "batch.max_prompt_tokens",
    "answers_at_once": "batch.max_responses_per_pass",
    "seed": "batch.seed",
    "precision": "system.precision",
    "checkpointing": "system.gradient_checkpointing",
    "save_every": "system.checkpoint_interval",
    "platform": "system.platform",
    "keep": "system.max_checkpoints",
    "n": "grpo.responses_per_prompt",
    "by_std": "grpo.normalize_by_std",
    "clip": "grpo.clip",
    "kl": "grpo.kl_weight",
    "kl_estimator": "grpo.kl_estimator",
    "rollout": "rollout.name",
    "temperature": "rollout.temperature",
    "max_answer_tokens": "rollout.max_response_tokens",
    "tensor_parallel": "rollout.tensor_parallel",
    "vllm_memory": "rollout.memory_fraction",
}
"""Name of a value before recipes had groups -> its path; `loss` is `loss_aggregation` of the recipe's kind."""


def recipe_named(name: str, changes: Mapping[str, JsonValue] | None = None) -> GrpoRecipe | SftRecipe:
    """Look up a recipe.

    Args:
        name: a key of `RECIPES`.
        changes: dotted path -> value that replaces the recipe's, such as `{"optimizer.learning_rate": 2e-6}`.

    Raises:
        RecipeError: there is no such recipe or path, or a value is out of bounds.
    """
    recipe = one_of(RECIPES, name, "recipe", RecipeError)
    try:
        return changed(recipe, changes or {})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            raise RecipeError(f"a recipe has no '{path}': its values are {', '.join(recipe_values(recipe))}") from None
        raise RecipeError(f"the recipe '{name}' cannot have this '{path}': {first['msg']} (got {first['input']!r})") from None


def upgrade_recipe(name: str, values: Mapping[str, JsonValue]) -> GrpoRecipe | SftRecipe:
    """The recipe that an earlier version stored as flat values.

    Args:
        name: of the recipe.
        values: some or all values by their former names; `steps` is ignored, which a run stores itself.

    Raises:
        RecipeError: there is no such recipe or value.
    """
    recipe = one_of(RECIPES, name, "recipe", RecipeError)
    former = {**_FORMER, "loss": f"{recipe.kind}.loss_aggregation"}
    return recipe_named(name, {former.get(key, key): value for key, value in values.items() if key != "steps"})


def check_rollout(recipe: Recipe) -> None:
    """Check that the engine of the rollout can run on the recipe's platform.

    Raises:
        RecipeError: vLLM is to run on a CPU, and no vLLM for CPUs is installed.
    """
    if not isinstance(recipe, GrpoRecipe) or recipe.system.platform != "cpu":
        return
    if recipe.rollout.name == "vllm" and find_spec("vllm") is None:
        raise RecipeError("on a CPU the rollout is 'transformers': a vllm for CPUs is not installed here")


def recipe_values(recipe: Recipe) -> dict[str, JsonValue]:
    """Every value of a recipe by its dotted path."""
    return {".".join(leaf.path): _at(recipe, leaf.path) for leaf in leaves(type(recipe))}


def sources(recipe: Recipe) -> dict[str, str]:
    """Source of each value of a recipe by its dotted path; a value that differs from the paper's recipe is ours."""
    return {
        ".".join(leaf.path): _source(leaf.field) if _at(recipe, leaf.path) == leaf.default else "ours: differs from the paper"
        for leaf in leaves(type(recipe))
    }


def _at(recipe: Recipe, path: tuple[str, ...]) -> Any:
    return reduce(getattr, path, recipe)


def _source(field: FieldInfo) -> str:
    assert isinstance(field.json_schema_extra, dict)
    return str(field.json_schema_extra["source"])
