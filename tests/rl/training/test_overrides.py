from __future__ import annotations

from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser

from rl.training.overrides import overrides
from rl.training.recipe import recipe_named


def parsed(name: str, **changes: Any) -> dict[str, Any]:
    said = overrides(recipe_named(name, changes), 12)
    return {one.key_or_group: one.value() for one in OverridesParser.create().parse_overrides(said)}


def test_the_papers_training_is_told_to_verl() -> None:
    said = parsed("stvg-r1")
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
    said = parsed("sample", kl=0.0, n=6, prompts_per_device=3, clip=0.1)
    assert said["actor_rollout_ref.actor.kl_loss_coef"] == 0.0
    assert (said["actor_rollout_ref.rollout.n"], said["data.train_batch_size"]) == (6, 3)
    assert said["actor_rollout_ref.actor.clip_ratio_high"] == 0.1
    assert said["trainer.device"] == "cpu"
