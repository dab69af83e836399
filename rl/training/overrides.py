"""A recipe in verl's own words: overrides of its configurations `ppo_trainer` and `sft_trainer_engine`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rl.training.checkpoints import CHECKPOINTS, step_folder
from rl.training.recipe import Grpo, Recipe, Sft

_ACTOR, _REF, _ROLLOUT, _MODEL = (f"actor_rollout_ref.{part}" for part in ("actor", "ref", "rollout", "model"))
_OUT_OF_REACH = 1e6
"""verl's second clip, of ratios of bad answers, is not in equation 8."""
_WORKERS = 8
"""Processes of a GPU machine that prepare prompts; a CPU has one, since each imports a torch of its own."""


def grpo_overrides(recipe: Grpo, steps: int) -> list[str]:
    """All of GRPO as Hydra takes it.

    Args:
        recipe: what is computed.
        steps: of the whole training.
    """
    return _said({**_algorithm(recipe), **_training(recipe), **_answering(recipe), **_run(recipe, steps)})


def sft_overrides(recipe: Sft, steps: int) -> list[str]:
    """All of supervised fine-tuning as Hydra takes it; the arguments are those of `grpo_overrides`."""
    made = {
        **_model("model", recipe),
        **_optimizer("optim", recipe),
        "engine.strategy": "fsdp2",
        "engine.use_torch_compile": recipe.platform != "cpu",
        "data.micro_batch_size_per_gpu": recipe.micro_batch,
        "data.use_dynamic_bsz": False,
        "data.num_workers": _loaders(recipe),
        "+data.seed": recipe.seed,
        "trainer.balance_batch": False,
        "trainer.max_ckpt_to_keep": recipe.keep,
    }
    return _said({**made, **_steps(recipe, steps)})


def _said(made: Mapping[str, Any]) -> list[str]:
    return [f"{key}={_value(value)}" for key, value in made.items()]


def _value(value: Any) -> str:
    """A value in Hydra's grammar, which for these is JSON but for words: they go without quotes."""
    return value if isinstance(value, str) else json.dumps(value)


def _algorithm(recipe: Grpo) -> dict[str, Any]:
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


def _training(recipe: Grpo) -> dict[str, Any]:
    """The model, its optimizer, and how both lie in memory."""
    made = {
        **_model(_MODEL, recipe),
        **_optimizer(f"{_ACTOR}.optim", recipe),
        f"{_ACTOR}.strategy": "fsdp2",
        f"{_ACTOR}.ppo_mini_batch_size": recipe.batch,
        f"{_ACTOR}.ppo_micro_batch_size_per_gpu": recipe.micro_batch,
    }
    for part in (_ACTOR, _REF):
        made[f"{part}.use_torch_compile"] = made[f"{part}.fsdp_config.use_torch_compile"] = recipe.platform != "cpu"
    made[f"{_REF}.log_prob_micro_batch_size_per_gpu"] = recipe.micro_batch
    made[f"{_ROLLOUT}.log_prob_micro_batch_size_per_gpu"] = recipe.micro_batch
    return made


def _model(part: str, recipe: Recipe) -> dict[str, Any]:
    return {
        f"{part}.external_lib": "rl.verl.engine",
        f"{part}.use_remove_padding": False,
        f"{part}.enable_gradient_checkpointing": recipe.checkpointing,
        f"+{part}.override_config.attn_implementation": "sdpa",
    }


def _optimizer(part: str, recipe: Recipe) -> dict[str, Any]:
    return {
        f"{part}._target_": "rl.verl.engine.LinearDecayConfig",
        f"{part}.lr_scheduler_type": recipe.schedule,
        f"{part}.lr": recipe.learning_rate,
        f"{part}.betas": [recipe.beta_1, recipe.beta_2],
        f"{part}.weight_decay": recipe.weight_decay,
        f"{part}.clip_grad": recipe.clip_grad,
    }


def _answering(recipe: Grpo) -> dict[str, Any]:
    """Who answers while training: vLLM on the devices that train, asleep while they do, or the rollout of a CPU."""
    cpu, length = recipe.platform == "cpu", recipe.max_prompt_tokens + recipe.max_answer_tokens
    return {
        **(_vllm(cpu) if recipe.rollout == "vllm" else {}),
        f"{_ROLLOUT}.name": recipe.rollout,
        f"{_ROLLOUT}.dtype": recipe.precision,
        f"{_ROLLOUT}.load_format": "auto",
        f"{_ROLLOUT}.tensor_model_parallel_size": recipe.tensor_parallel,
        f"{_ROLLOUT}.gpu_memory_utilization": recipe.vllm_memory,
        f"{_ROLLOUT}.free_cache_engine": not cpu,
        f"{_ROLLOUT}.max_model_len": length,
        f"{_ROLLOUT}.max_num_batched_tokens": max(length, 8192),
        f"{_ROLLOUT}.agent.num_workers": 1 if cpu else _WORKERS,
    }


def _vllm(cpu: bool) -> dict[str, Any]:
    """What vLLM is told beside: on a CPU it has no memory to let go and nothing to compile, and weights come in small parts."""
    # A cached video would keep the times of the request that it came with.
    uncached = {f"+{_ROLLOUT}.engine_kwargs.vllm.mm_processor_cache_gb": 0}
    small = {
        f"{_ROLLOUT}.enforce_eager": True,
        f"+{_ROLLOUT}.enable_sleep_mode": False,
        f"{_ROLLOUT}.checkpoint_engine.update_weights_bucket_megabytes": 16,
    }
    return {**uncached, **(small if cpu else {})}


def _run(recipe: Grpo, steps: int) -> dict[str, Any]:
    """Batches and processes."""
    cpu = recipe.platform == "cpu"
    return {
        "data.max_response_length": recipe.max_answer_tokens,
        "data.shuffle": True,
        "data.seed": recipe.seed,
        "data.dataloader_num_workers": _loaders(recipe),
        "reward.num_workers": 1 if cpu else 2,
        "transfer_queue.backend.SimpleStorage.num_data_storage_units": 1 if cpu else recipe.devices,
        "trainer.val_before_train": False,
        "trainer.max_actor_ckpt_to_keep": recipe.keep,
        **_steps(recipe, steps),
    }


def _loaders(recipe: Recipe) -> int:
    """Processes that read rows."""
    return 0 if recipe.platform == "cpu" else 2


def _steps(recipe: Recipe, steps: int) -> dict[str, Any]:
    """Devices, steps and checkpoints."""
    return {
        "data.train_batch_size": recipe.batch,
        "trainer.device": recipe.platform,
        "trainer.nnodes": 1,
        "trainer.n_gpus_per_node": recipe.devices,
        "trainer.logger": "[console]",
        "trainer.test_freq": -1,
        "trainer.save_freq": recipe.save_every,
        "trainer.total_training_steps": steps,
        "trainer.total_epochs": 10**6,
    }


def going_on(folder: Path, start: int) -> dict[str, str]:
    """Where checkpoints are, and from which one it goes on, as verl's trainers take it."""
    there = {"resume_mode": "resume_path", "resume_from_path": str(step_folder(folder, start).resolve())}
    return {"default_local_dir": str((folder / CHECKPOINTS).resolve()), **(there if start else {"resume_mode": "disable"})}


def merged(name: str, said: list[str], of_this_run: dict[str, Any]) -> Any:
    """One of verl's configurations with overrides, and sections of this run over it."""
    from hydra import compose, initialize_config_module
    from omegaconf import OmegaConf

    with initialize_config_module("verl.trainer.config", version_base=None):
        composed = compose(name, said)
    OmegaConf.set_struct(composed, False)
    return OmegaConf.merge(composed, of_this_run)
