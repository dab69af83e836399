"""A recipe as values of verl's configurations `ppo_trainer` and `sft_trainer_engine`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from rl.training.checkpoints import CHECKPOINTS, step_folder
from rl.training.recipe import GrpoRecipe, Recipe, SftRecipe

Settings = dict[str, bool | int | float | str | list[float] | list[str]]
"""Dotted path in verl's configuration -> value; `+` before a path adds a key that verl's defaults lack, as in Hydra."""

_ACTOR, _REF, _ROLLOUT, _MODEL = (f"actor_rollout_ref.{part}" for part in ("actor", "ref", "rollout", "model"))
_NEVER_CLIPPED = 1e6
"""Bound of verl's second clip, of ratios of bad responses, which equation 8 does not have."""
_PROMPT_WORKERS = 8
"""Processes that prepare prompts for GPUs; a CPU has one, since each imports torch."""


def grpo_settings(recipe: GrpoRecipe, steps: int) -> Settings:
    """All values of GRPO that differ from verl's defaults or must not change with them.

    Args:
        recipe: of the training.
        steps: updates of the whole training.
    """
    return {**_objective(recipe), **_actor(recipe), **_rollout(recipe), **_workers(recipe), **_trainer(recipe, steps)}


def sft_settings(recipe: SftRecipe, steps: int) -> Settings:
    """The same for supervised fine-tuning.

    Args:
        recipe: of the training.
        steps: updates of the whole training.
    """
    return {
        **_model("model", recipe),
        **_optimizer("optim", recipe),
        "engine.strategy": "fsdp2",
        "engine.use_torch_compile": recipe.system.platform != "cpu",
        "data.micro_batch_size_per_gpu": recipe.micro_batch_size,
        "data.use_dynamic_bsz": False,
        "data.num_workers": _loader_workers(recipe),
        "+data.seed": recipe.batch.seed,
        "trainer.balance_batch": False,
        "trainer.max_ckpt_to_keep": recipe.system.max_checkpoints,
        **_trainer(recipe, steps),
    }


def _objective(recipe: GrpoRecipe) -> Settings:
    """Equations 7 and 8."""
    grpo = recipe.grpo
    return {
        "algorithm.adv_estimator": "grpo",
        "algorithm.norm_adv_by_std_in_grpo": grpo.normalize_by_std,
        "algorithm.use_kl_in_reward": False,
        f"{_ACTOR}.loss_agg_mode": grpo.loss_aggregation,
        f"{_ACTOR}.use_kl_loss": True,
        f"{_ACTOR}.kl_loss_type": grpo.kl_estimator,
        f"{_ACTOR}.kl_loss_coef": grpo.kl_weight,
        f"{_ACTOR}.entropy_coeff": 0,
        **{f"{_ACTOR}.{name}": grpo.clip for name in ("clip_ratio", "clip_ratio_low", "clip_ratio_high")},
        f"{_ACTOR}.clip_ratio_c": _NEVER_CLIPPED,
        f"{_ROLLOUT}.n": grpo.responses_per_prompt,
        f"{_ROLLOUT}.temperature": recipe.rollout.temperature,
    }


def _actor(recipe: GrpoRecipe) -> Settings:
    """The model, its optimizer, and how both lie in memory."""
    compiled, micro_batch = recipe.system.platform != "cpu", recipe.micro_batch_size
    return {
        **_model(_MODEL, recipe),
        **_optimizer(f"{_ACTOR}.optim", recipe),
        f"{_ACTOR}.strategy": "fsdp2",
        f"{_ACTOR}.ppo_mini_batch_size": recipe.batch_size,
        f"{_ACTOR}.ppo_micro_batch_size_per_gpu": micro_batch,
        **{f"{part}.use_torch_compile": compiled for part in (_ACTOR, _REF)},
        **{f"{part}.fsdp_config.use_torch_compile": compiled for part in (_ACTOR, _REF)},
        **{f"{part}.log_prob_micro_batch_size_per_gpu": micro_batch for part in (_REF, _ROLLOUT)},
    }


def _model(part: str, recipe: Recipe) -> Settings:
    return {
        f"{part}.external_lib": "rl.verl.engine",
        f"{part}.use_remove_padding": False,
        f"{part}.enable_gradient_checkpointing": recipe.system.gradient_checkpointing,
        f"+{part}.override_config.attn_implementation": "sdpa",
    }


def _optimizer(part: str, recipe: Recipe) -> Settings:
    optimizer = recipe.optimizer
    return {
        f"{part}._target_": "rl.verl.engine.LinearDecayConfig",
        f"{part}.lr_scheduler_type": optimizer.schedule,
        f"{part}.lr": optimizer.learning_rate,
        f"{part}.betas": [optimizer.beta_1, optimizer.beta_2],
        f"{part}.weight_decay": optimizer.weight_decay,
        f"{part}.clip_grad": optimizer.max_grad_norm,
    }


def _rollout(recipe: GrpoRecipe) -> Settings:
    """The engine of responses: vLLM on the devices that train, asleep while they do, or transformers on a CPU."""
    on_cpu, rollout = recipe.system.platform == "cpu", recipe.rollout
    length = recipe.batch.max_prompt_tokens + rollout.max_response_tokens
    return {
        **(_vllm(on_cpu) if rollout.name == "vllm" else {}),
        f"{_ROLLOUT}.name": rollout.name,
        f"{_ROLLOUT}.dtype": recipe.system.precision,
        f"{_ROLLOUT}.load_format": "auto",
        f"{_ROLLOUT}.tensor_model_parallel_size": rollout.tensor_parallel,
        f"{_ROLLOUT}.gpu_memory_utilization": rollout.memory_fraction,
        f"{_ROLLOUT}.free_cache_engine": not on_cpu,
        f"{_ROLLOUT}.max_model_len": length,
        f"{_ROLLOUT}.max_num_batched_tokens": max(length, 8192),
        f"{_ROLLOUT}.agent.num_workers": 1 if on_cpu else _PROMPT_WORKERS,
    }


def _vllm(on_cpu: bool) -> Settings:
    """VLLM's own values: on a CPU it cannot release memory or compile, and weights come in small parts."""
    # A cached video would keep the times of the request that it came with.
    uncached: Settings = {f"+{_ROLLOUT}.engine_kwargs.vllm.mm_processor_cache_gb": 0}
    small: Settings = {
        f"{_ROLLOUT}.enforce_eager": True,
        f"+{_ROLLOUT}.enable_sleep_mode": False,
        f"{_ROLLOUT}.checkpoint_engine.update_weights_bucket_megabytes": 16,
    }
    return {**uncached, **(small if on_cpu else {})}


def _workers(recipe: GrpoRecipe) -> Settings:
    """Processes and the order of prompts."""
    on_cpu = recipe.system.platform == "cpu"
    return {
        "data.max_response_length": recipe.rollout.max_response_tokens,
        "data.shuffle": True,
        "data.seed": recipe.batch.seed,
        "data.dataloader_num_workers": _loader_workers(recipe),
        "reward.num_workers": 1 if on_cpu else 2,
        "transfer_queue.backend.SimpleStorage.num_data_storage_units": 1 if on_cpu else recipe.batch.devices,
        "trainer.val_before_train": False,
        "trainer.max_actor_ckpt_to_keep": recipe.system.max_checkpoints,
    }


def _loader_workers(recipe: Recipe) -> int:
    """Processes that read rows."""
    return 0 if recipe.system.platform == "cpu" else 2


def _trainer(recipe: Recipe, steps: int) -> Settings:
    """Devices, steps and checkpoints."""
    return {
        "data.train_batch_size": recipe.batch_size,
        "trainer.device": recipe.system.platform,
        "trainer.nnodes": 1,
        "trainer.n_gpus_per_node": recipe.batch.devices,
        "trainer.logger": ["console"],
        "trainer.test_freq": -1,
        "trainer.save_freq": recipe.system.checkpoint_interval,
        "trainer.total_training_steps": steps,
        "trainer.total_epochs": 10**6,
    }


def trainer_section(folder: Path, start: int) -> dict[str, JsonValue]:
    """The part of verl's section `trainer` that says where checkpoints are and which one is resumed.

    Args:
        folder: of the training.
        start: step of the checkpoint to resume from; 0 starts anew.
    """
    checkpoint = str(step_folder(folder, start).resolve())
    resumption: dict[str, JsonValue] = {"resume_mode": "disable"}
    if start:
        resumption = {"resume_mode": "resume_path", "resume_from_path": checkpoint}
    return {"default_local_dir": str((folder / CHECKPOINTS).resolve()), **resumption}


def compose_config(name: str, settings: Settings, sections: Mapping[str, JsonValue]) -> Any:
    """One of verl's configurations with values replaced.

    Args:
        name: `ppo_trainer` or `sft_trainer_engine`.
        settings: values by their paths; a path that verl does not have is an error unless it begins with `+`.
        sections: nested values of one training, which may have further keys.

    Returns:
        An OmegaConf configuration.
    """
    from hydra import compose, initialize_config_module
    from hydra.core.global_hydra import GlobalHydra
    from hydra.initialize import get_gh_backup, restore_gh_from_backup
    from omegaconf import OmegaConf

    backup = get_gh_backup()  # sam2 initializes Hydra for its own configurations when it is imported
    GlobalHydra.instance().clear()
    try:
        with initialize_config_module("verl.trainer.config", version_base=None):
            config = compose(name)
    finally:
        restore_gh_from_backup(backup)
    for path, value in settings.items():
        OmegaConf.update(config, path.removeprefix("+"), value, force_add=path.startswith("+"))
    OmegaConf.set_struct(config, False)
    return OmegaConf.merge(config, sections)
