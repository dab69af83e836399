"""GRPO by verl: its configuration for one run, and what its task runner does, with our trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rl.training.check import Checked
from rl.training.checkpoints import FAILURES, OnStep
from rl.training.overrides import going_on, grpo_overrides, merged
from rl.training.plan import SPLITS
from rl.training.recipe import Grpo
from rl.training.rows import verl_data


def configured(folder: Path, checked: Checked, start: int) -> Any:
    """The configuration of verl, validated as its own command does."""
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import validate_config

    assert isinstance(checked.recipe, Grpo)
    config = merged("ppo_trainer", grpo_overrides(checked.recipe, checked.steps), _of_this_run(folder, checked, start))
    validate_config(config, use_reference_policy=need_reference_policy(config), use_critic=need_critic(config))
    return config


def _of_this_run(folder: Path, checked: Checked, start: int) -> dict[str, Any]:
    """Model, prompts, reward, and where to go on, as sections of verl's configuration."""
    assert checked.model.weights is not None
    training, files = checked.training, {split: [rows.file(split) for rows in checked.rows] for split in SPLITS}
    how = {"failures": str((folder / FAILURES).resolve()), "reward": training.reward, "appears": training.appears}
    reward = {"path": "pkg://rl.training.reward", "name": "compute_score", "reward_kwargs": how}
    return {
        "data": verl_data(files["train"], files["val"], checked.recipe.max_prompt_tokens),
        "reward": {"custom_reward_function": reward},
        "actor_rollout_ref": {"model": {"path": str(checked.model.weights.path)}},
        "trainer": going_on(folder, start),
        "transfer_queue": {"enable": True},
    }


def run(config: Any, on_step: OnStep) -> None:
    """Train, in the Ray of this process."""
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
