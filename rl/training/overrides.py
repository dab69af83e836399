"""A recipe in verl's own words: overrides of its `ppo_trainer` configuration."""

from __future__ import annotations

import json
from typing import Any

from rl.training.recipe import Recipe

_ACTOR, _REF, _ROLLOUT, _MODEL = (f"actor_rollout_ref.{part}" for part in ("actor", "ref", "rollout", "model"))
_OUT_OF_REACH = 1e6
"""verl's second clip, of ratios of bad answers, is not in equation 8."""
_WORKERS = 8
"""Processes of a GPU machine that prepare prompts; a CPU has one, since each imports a torch of its own."""


def overrides(recipe: Recipe, steps: int) -> list[str]:
    """All of it as Hydra takes it.

    Args:
        recipe: what is computed.
        steps: of the whole training.
    """
    made = {**_algorithm(recipe), **_training(recipe), **_answering(recipe), **_run(recipe, steps)}
    return [f"{key}={_value(value)}" for key, value in made.items()]


def _value(value: Any) -> str:
    """A value in Hydra's grammar, which for these is JSON but for words: they go without quotes."""
    return value if isinstance(value, str) else json.dumps(value)


def _algorithm(recipe: Recipe) -> dict[str, Any]:
    """Equations 7 and 8."""
    return {
        "algorithm.adv_estimator": "grpo",
        "algorithm.norm_adv_by_std_in_grpo": recipe.by_std,
        "algorithm.use_kl_in_reward": False,
        f"{_ACTOR}.loss_agg_mode": recipe.loss,
        f"{_ACTOR}.use_kl_loss": True,
        f"{_ACTOR}.kl_loss_type": recipe.kl_estimator,
        f"{_ACTOR}.kl_loss_coef": recipe.kl,
        f"{_ACTOR}.entropy_coeff": 0,
        **{f"{_ACTOR}.{name}": recipe.clip for name in ("clip_ratio", "clip_ratio_low", "clip_ratio_high")},
        f"{_ACTOR}.clip_ratio_c": _OUT_OF_REACH,
        f"{_ROLLOUT}.n": recipe.n,
        f"{_ROLLOUT}.temperature": recipe.temperature,
    }


def _training(recipe: Recipe) -> dict[str, Any]:
    """The model, its optimizer, and how both lie in memory."""
    cpu = recipe.platform == "cpu"
    made = {
        f"{_MODEL}.external_lib": "rl.verl.engine",
        f"{_MODEL}.use_remove_padding": False,
        f"{_MODEL}.enable_gradient_checkpointing": recipe.checkpointing,
        f"+{_MODEL}.override_config.attn_implementation": "sdpa",
        f"{_ACTOR}.strategy": "fsdp2",
        f"{_ACTOR}.optim._target_": "rl.verl.engine.LinearDecayConfig",
        f"{_ACTOR}.optim.lr_scheduler_type": recipe.schedule,
        f"{_ACTOR}.optim.lr": recipe.learning_rate,
        f"{_ACTOR}.optim.betas": [recipe.beta_1, recipe.beta_2],
        f"{_ACTOR}.optim.weight_decay": recipe.weight_decay,
        f"{_ACTOR}.optim.clip_grad": recipe.clip_grad,
        f"{_ACTOR}.ppo_mini_batch_size": recipe.batch,
        f"{_ACTOR}.ppo_micro_batch_size_per_gpu": recipe.answers_at_once,
    }
    for part in (_ACTOR, _REF):
        made[f"{part}.use_torch_compile"] = made[f"{part}.fsdp_config.use_torch_compile"] = not cpu
    made[f"{_REF}.log_prob_micro_batch_size_per_gpu"] = recipe.answers_at_once
    made[f"{_ROLLOUT}.log_prob_micro_batch_size_per_gpu"] = recipe.answers_at_once
    return made


def _answering(recipe: Recipe) -> dict[str, Any]:
    """Who answers while training: vLLM on the GPUs that train, asleep while they do, or the rollout of a CPU."""
    vllm, length = recipe.rollout == "vllm", recipe.max_prompt_tokens + recipe.max_answer_tokens
    # A cached video would keep the times of the request that it came with.
    uncached = {f"+{_ROLLOUT}.engine_kwargs.vllm.mm_processor_cache_gb": 0} if vllm else {}
    return {
        **uncached,
        f"{_ROLLOUT}.name": recipe.rollout,
        f"{_ROLLOUT}.dtype": recipe.precision,
        f"{_ROLLOUT}.load_format": "auto",
        f"{_ROLLOUT}.tensor_model_parallel_size": recipe.tensor_parallel,
        f"{_ROLLOUT}.gpu_memory_utilization": recipe.vllm_memory,
        f"{_ROLLOUT}.free_cache_engine": vllm,
        f"{_ROLLOUT}.max_model_len": length,
        f"{_ROLLOUT}.max_num_batched_tokens": max(length, 8192),
        f"{_ROLLOUT}.agent.num_workers": _WORKERS if vllm else 1,
    }


def _run(recipe: Recipe, steps: int) -> dict[str, Any]:
    """Batches, steps, checkpoints and processes."""
    cpu = recipe.platform == "cpu"
    return {
        "data.train_batch_size": recipe.batch,
        "data.max_response_length": recipe.max_answer_tokens,
        "data.shuffle": True,
        "data.seed": recipe.seed,
        "data.dataloader_num_workers": 0 if cpu else 2,
        "reward.num_workers": 1 if cpu else 2,
        "transfer_queue.backend.SimpleStorage.num_data_storage_units": 1 if cpu else recipe.devices,
        "trainer.device": recipe.platform,
        "trainer.nnodes": 1,
        "trainer.n_gpus_per_node": recipe.devices,
        "trainer.logger": "[console]",
        "trainer.val_before_train": False,
        "trainer.test_freq": -1,
        "trainer.save_freq": recipe.save_every,
        "trainer.max_actor_ckpt_to_keep": recipe.keep,
        "trainer.total_training_steps": steps,
        "trainer.total_epochs": 10**6,
    }
