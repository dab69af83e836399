from __future__ import annotations

import json
from pathlib import Path

import pytest

from rl.rewards import RewardConfig
from rl.training.checkpoints import read_metrics
from rl.training.recipe import GrpoRecipe, RecipeError, SftRecipe
from rl.training.recipes import RECIPES, recipe_named
from rl.training.records import TrainingRun, read_lineage, read_run, write_run
from rl.training.rows import open_rows
from storage.records import with_digest


@pytest.mark.parametrize("name", RECIPES)
def test_a_request_is_read_back_as_it_was_written(tmp_path: Path, name: str) -> None:
    run = TrainingRun(
        recipe_name=name,
        recipe=recipe_named(name, {"optimizer.learning_rate": 0.5}),
        model="models/tiny",
        rows=("rows-1", "rows-2"),
        steps=2,
        reward=RewardConfig(name="coupled") if RECIPES[name].kind == "grpo" else None,
        rendering={"markers.size": 20.0},
    )
    write_run(tmp_path, run)
    again = read_run(tmp_path)
    assert again == run
    assert type(again.recipe) is type(run.recipe)
    (tmp_path / "run.json").write_text('{"recipe": 3}')
    with pytest.raises(RecipeError, match=r"run\.json is damaged"):
        read_run(tmp_path)
    with pytest.raises(RecipeError, match=r"not the folder of a training: it has no run\.json"):
        read_run(tmp_path / "nothing")


LEGACY = Path(__file__).parents[2] / "fixtures" / "legacy" / "trainings"


def test_a_training_of_an_earlier_version_is_read() -> None:
    folder = LEGACY / "sample-own"
    run, lineage, steps = read_run(folder), read_lineage(folder), read_metrics(folder)
    assert isinstance(run.recipe, GrpoRecipe)
    assert (run.recipe.grpo.responses_per_prompt, run.recipe.rollout.max_response_tokens, run.steps) == (2, 8, 2)
    assert run.reward == RewardConfig()
    assert lineage is not None
    assert (lineage.recipe, lineage.reward, lineage.dataset, lineage.steps) == (run.recipe, run.reward, run.dataset, 2)
    assert [(metrics.step, metrics.total_steps) for metrics in steps] == [(1, 2), (2, 2)]
    assert all(metrics.learning_rate is not None and metrics.response_tokens is not None for metrics in steps)
    assert open_rows(LEGACY / "rows" / Path(run.rows[0]).name).record.longest_prompt_tokens > 0


FORMER = {"model": "m", "rows": ["rows-1"], "dataset": {"path": "d", "content_hash": "h"}}


def test_requests_of_earlier_versions_are_read(tmp_path: Path) -> None:
    former = {**FORMER, "recipe": "sample", "reward": "coupled", "appears": "drawn", "shown": {"markers.size": 20.0}}
    (tmp_path / "run.json").write_text(json.dumps({**former, "changes": {"n": 2, "steps": 3}}))
    run = read_run(tmp_path)
    assert isinstance(run.recipe, GrpoRecipe)
    assert (run.recipe_name, run.recipe.grpo.responses_per_prompt, run.steps) == ("sample", 2, 3)
    assert (run.rows, run.dataset.content_hash, run.rendering) == (("rows-1",), "h", {"markers.size": 20.0})
    assert run.reward == RewardConfig(name="coupled", appearance="drawn")


def test_lineages_of_earlier_versions_are_read(tmp_path: Path) -> None:
    own = {"values": {"devices": 2}, "base": "b", "steps": 3, "sha256": "s", "versions": {"verl": "0"}}
    former = {**FORMER, "recipe": "sample-sft", "reward": "", "appears": "", **own}
    del former["model"]
    (tmp_path / "checkpoint.json").write_text(json.dumps(with_digest(former)))
    lineage = read_lineage(tmp_path)
    assert lineage is not None
    assert isinstance(lineage.recipe, SftRecipe)
    assert (lineage.recipe_name, lineage.recipe.batch.devices, lineage.reward) == ("sample-sft", 2, None)
    assert (lineage.base_sha256, lineage.steps, lineage.sha256) == ("b", 3, "s")
