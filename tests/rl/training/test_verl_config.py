from __future__ import annotations

from typing import Any

import pytest

from rl.training.recipe import GrpoRecipe
from rl.training.recipes import recipe_named
from rl.training.verl_config import compose_config, grpo_settings, sft_settings


def settings(name: str, **changes: Any) -> dict[str, Any]:
    recipe = recipe_named(name, {path.replace("__", "."): value for path, value in changes.items()})
    every = grpo_settings(recipe, 12) if isinstance(recipe, GrpoRecipe) else sft_settings(recipe, 12)
    return {path.removeprefix("+"): value for path, value in every.items()}


def test_the_papers_training_is_told_to_verl() -> None:
    said = settings("stvg-r1")
    assert (said["algorithm.adv_estimator"], said["algorithm.norm_adv_by_std_in_grpo"]) == ("grpo", True)
    assert (said["data.train_batch_size"], said["actor_rollout_ref.rollout.n"]) == (8, 8)
    actor = {key.removeprefix("actor_rollout_ref.actor."): value for key, value in said.items()}
    assert (actor["optim.lr"], actor["optim.lr_scheduler_type"]) == (1e-6, "linear")
    assert (actor["kl_loss_coef"], actor["kl_loss_type"], actor["use_kl_loss"]) == (0.04, "k3", True)
    assert (actor["loss_agg_mode"], actor["ppo_mini_batch_size"]) == ("seq-mean-token-mean", 8), "one update a batch"
    assert (said["trainer.n_gpus_per_node"], said["trainer.total_training_steps"]) == (8, 12)
    assert said["actor_rollout_ref.rollout.name"] == "vllm"
    assert said["actor_rollout_ref.rollout.max_model_len"] == 8192 + 1024


def test_what_is_changed_of_a_recipe_reaches_verl() -> None:
    said = settings("sample", grpo__kl_weight=0.0, grpo__responses_per_prompt=6, batch__prompts_per_device=3, grpo__clip=0.1)
    assert said["actor_rollout_ref.actor.kl_loss_coef"] == 0.0
    assert (said["actor_rollout_ref.rollout.n"], said["data.train_batch_size"]) == (6, 3)
    assert said["actor_rollout_ref.actor.clip_ratio_high"] == 0.1
    assert said["trainer.device"] == "cpu"


def test_vllm_on_a_cpu_sleeps_and_compiles_nothing() -> None:
    rollout = settings("sample", rollout__name="vllm").items()
    said = {key.removeprefix("actor_rollout_ref.rollout."): value for key, value in rollout}
    assert (said["name"], said["enforce_eager"], said["enable_sleep_mode"], said["free_cache_engine"]) == (
        "vllm",
        True,
        False,
        False,
    )
    assert "actor_rollout_ref.rollout.enforce_eager" not in settings("stvg-r1")


def test_the_papers_fine_tuning_is_told_to_verl() -> None:
    said = settings("stvg-r1-sft")
    assert (said["optim.lr"], said["optim.lr_scheduler_type"]) == (1e-6, "linear")
    assert (said["data.train_batch_size"], said["data.micro_batch_size_per_gpu"]) == (8, 1)
    assert (said["trainer.n_gpus_per_node"], said["trainer.total_training_steps"]) == (8, 12)
    assert not any("rollout" in key for key in said), "nobody answers"


def test_a_devices_answers_are_computed_in_equal_parts() -> None:
    share = "data.micro_batch_size_per_gpu"
    assert settings("sample-sft", batch__max_responses_per_pass=8)[share] == 2, "there are no more"
    assert settings("sample-sft", batch__prompts_per_device=6, batch__max_responses_per_pass=4)[share] == 3
    assert settings("sample", grpo__responses_per_prompt=6)["actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu"] == 6


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["stvg-r1"])
def test_every_path_is_one_of_verls_or_marked_as_new(name: str) -> None:
    import sam2  # noqa: F401 - it initializes Hydra for its own configurations
    from omegaconf.errors import ConfigAttributeError

    recipe = recipe_named(name)
    assert isinstance(recipe, GrpoRecipe)
    config = compose_config("ppo_trainer", grpo_settings(recipe, 12), {"data": {"further": 1}})
    assert (config.trainer.total_training_steps, config.trainer.logger, config.data.further) == (12, ["console"], 1)
    with pytest.raises(ConfigAttributeError):
        compose_config("ppo_trainer", {"trainer.no_such_key": 1}, {})
