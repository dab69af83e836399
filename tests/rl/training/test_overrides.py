from __future__ import annotations

from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from rl.training import recipe
from rl.training.overrides import grpo_overrides, sft_overrides
from rl.training.recipe import Grpo, Sft, recipe_named


def parsed(name: str, **changes: Any) -> dict[str, Any]:
    chosen = recipe_named(name, changes)
    assert isinstance(chosen, Grpo | Sft)
    said = grpo_overrides(chosen, 12) if isinstance(chosen, Grpo) else sft_overrides(chosen, 12)
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


def test_vllm_on_a_cpu_sleeps_and_compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "find_spec", lambda name: name)
    said = {key.removeprefix("actor_rollout_ref.rollout."): value for key, value in parsed("sample", rollout="vllm").items()}
    assert (said["name"], said["enforce_eager"], said["enable_sleep_mode"], said["free_cache_engine"]) == (
        "vllm",
        True,
        False,
        False,
    )
    assert "actor_rollout_ref.rollout.enforce_eager" not in parsed("stvg-r1")


def test_the_papers_fine_tuning_is_told_to_verl() -> None:
    said = parsed("stvg-r1-sft")
    assert (said["optim.lr"], said["optim.lr_scheduler_type"]) == (1e-6, "linear")
    assert (said["data.train_batch_size"], said["data.micro_batch_size_per_gpu"]) == (8, 1)
    assert (said["trainer.n_gpus_per_node"], said["trainer.total_training_steps"]) == (8, 12)
    assert not any("rollout" in key for key in said), "nobody answers"


def test_a_devices_answers_are_computed_in_equal_parts() -> None:
    assert parsed("sample-sft", answers_at_once=8)["data.micro_batch_size_per_gpu"] == 2, "there are no more"
    assert parsed("sample-sft", prompts_per_device=6, answers_at_once=4)["data.micro_batch_size_per_gpu"] == 3
    assert parsed("sample", n=6)["actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu"] == 6
