"""Whether a training can be started, found out without Ray and without verl."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from rl.models.families import Model
from rl.models.registry import find_model
from rl.rewards import APPEARS, RewardError, reward_named
from rl.training.plan import RowsError
from rl.training.recipe import Grpo, Recipe
from rl.training.request import Training
from rl.training.rows import Rows, open_rows


class Checked(NamedTuple):
    """A training that can be started: what was asked for, and what that comes to."""

    training: Training
    recipe: Recipe
    model: Model
    rows: list[Rows]
    steps: int


def check(training: Training) -> Checked:
    """Find everything that a training needs.

    Raises:
        RecipeError: there is no such recipe or value, or too few prompts for one batch.
        RewardError: there is no such reward.
        ModelError, WeightsError: the model is not here or not supported.
        RowsError: the prompts are not here, not whole, or too long for the recipe.
    """
    recipe = training.chosen()
    if isinstance(recipe, Grpo):
        _check_reward(training)
    rows = [open_rows(Path(folder)) for folder in training.rows]
    longest = max((one.record.longest for one in rows), default=0)
    if longest > recipe.max_prompt_tokens:
        raise RowsError(f"a prompt has {longest} tokens, more than {recipe.max_prompt_tokens}: raise max_prompt_tokens")
    steps = recipe.total_steps(sum(one.record.counts["train"] for one in rows))
    return Checked(training, recipe, find_model(training.model), rows, steps)


def _check_reward(training: Training) -> None:
    reward_named(training.reward)
    if training.appears not in APPEARS:
        raise RewardError(f"an object cannot appear as '{training.appears}': choose from {', '.join(APPEARS)}")
