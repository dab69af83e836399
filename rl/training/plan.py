"""Plan of a training: everything it needs, looked up and checked without Ray and without verl."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rl.models.families import Model
from rl.models.registry import find_model
from rl.rewards import find_reward
from rl.training.recipe import GrpoRecipe, SftRecipe
from rl.training.recipes import check_rollout
from rl.training.records import TrainingRun
from rl.training.rows import RowFolder, open_rows
from rl.training.selection import RowsError


@dataclass(frozen=True)
class RunPlan:
    """A training that can be started.

    Attributes:
        folder: of the training.
        run: its request.
        model: the initial model.
        rows: folders of training rows.
        steps: updates of the whole training.
    """

    folder: Path
    run: TrainingRun
    model: Model
    rows: tuple[RowFolder, ...]
    steps: int

    @property
    def recipe(self) -> GrpoRecipe | SftRecipe:
        """The recipe of the request."""
        return self.run.recipe

    @property
    def model_path(self) -> Path:
        """Folder of the initial model."""
        assert self.model.weights is not None
        return self.model.weights.path


def plan_run(folder: Path, run: TrainingRun) -> RunPlan:
    """Look up and check everything that a training needs.

    Args:
        folder: of the training.
        run: its request.

    Raises:
        RecipeError: the rollout cannot run here, or the prompts do not fill one batch.
        RewardError: there is no such reward.
        ModelError, WeightsError: the model does not exist or is not supported.
        RowsError: the rows do not exist, are incomplete, or too long for the recipe.
    """
    if run.reward is not None:
        find_reward(run.reward.name, run.reward.appearance)
    check_rollout(run.recipe)
    rows = tuple(open_rows(Path(path)) for path in run.rows)
    longest = max((one.record.longest_prompt_tokens for one in rows), default=0)
    if longest > run.recipe.batch.max_prompt_tokens:
        raise RowsError(
            f"a prompt has {longest} tokens, more than {run.recipe.batch.max_prompt_tokens}: raise batch.max_prompt_tokens"
        )
    steps = run.recipe.total_steps(sum(one.record.counts["train"] for one in rows), run.steps)
    return RunPlan(folder=folder, run=run, model=find_model(run.model), rows=rows, steps=steps)
