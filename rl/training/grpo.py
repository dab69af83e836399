"""GRPO by verl: the configuration of one training, and the work of verl's task runner with our trainer."""

from __future__ import annotations

from typing import Any

from pydantic import JsonValue

from rl.training.checkpoints import FAILURES
from rl.training.plan import RunPlan
from rl.training.recipe import GrpoRecipe
from rl.training.rows import data_section
from rl.training.selection import SPLITS
from rl.training.verl_config import compose_config, grpo_settings, trainer_section
from rl.verl.metrics import OnStep


def configure_grpo(plan: RunPlan, start: int) -> Any:
    """Verl's configuration, validated as verl's own command does.

    Args:
        plan: of the training.
        start: step of the checkpoint to resume from; 0 starts anew.
    """
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import validate_config

    assert isinstance(plan.recipe, GrpoRecipe)
    config = compose_config("ppo_trainer", grpo_settings(plan.recipe, plan.steps), _sections(plan, start))
    validate_config(config, use_reference_policy=need_reference_policy(config), use_critic=need_critic(config))
    return config


def _sections(plan: RunPlan, start: int) -> dict[str, JsonValue]:
    """Model, prompts, reward and checkpoints as sections of verl's configuration."""
    assert plan.run.reward is not None
    files = {split: [rows.file(split) for rows in plan.rows] for split in SPLITS}
    options: dict[str, JsonValue] = {
        "failures": str((plan.folder / FAILURES).resolve()),
        "reward": plan.run.reward.name,
        "appearance": plan.run.reward.appearance,
    }
    reward: dict[str, JsonValue] = {"path": "pkg://rl.training.reward", "name": "score_response", "reward_kwargs": options}
    return {
        "data": data_section(files["train"], files["val"], plan.recipe.batch.max_prompt_tokens),
        "reward": {"custom_reward_function": reward},
        "actor_rollout_ref": {"model": {"path": str(plan.model_path)}},
        "trainer": trainer_section(plan.folder, start),
        "transfer_queue": {"enable": True},
    }


def train_grpo(config: Any, on_step: OnStep) -> None:
    """Train in the Ray session of this process.

    Args:
        config: from `configure_grpo`.
        on_step: called after each update.
    """
    import transfer_queue
    from omegaconf import OmegaConf
    from verl.trainer.ppo.v1 import AgentLoopManagerTQ

    from rl.verl.trainer import Trainer

    OmegaConf.resolve(config)
    transfer_queue.init(config.transfer_queue)
    try:
        trainer: Any = Trainer(config, on_step)
        trainer.init()
        loops = AgentLoopManagerTQ.create(
            config=config,
            llm_client=trainer.get_llm_client(),
            teacher_client=trainer.get_teacher_client(),
            reward_loop_worker_handles=trainer.get_reward_handles(),
        )
        trainer.fit(loops)
    finally:
        transfer_queue.close()
