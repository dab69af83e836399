"""Supervised fine-tuning by verl: the configuration of one training, and its trainer with Ray actors."""

from __future__ import annotations

from typing import Any

from pydantic import JsonValue

from rl.training.plan import RunPlan
from rl.training.recipe import SftRecipe
from rl.training.rows import data_section
from rl.training.verl_config import compose_config, sft_settings, trainer_section
from rl.verl.metrics import OnStep


def configure_sft(plan: RunPlan, start: int) -> Any:
    """Verl's configuration; validation rows are left to an evaluation of the trained model.

    Args:
        plan: of the training.
        start: step of the checkpoint to resume from; 0 starts anew.
    """
    assert isinstance(plan.recipe, SftRecipe)
    data = data_section([rows.file("train") for rows in plan.rows], [], plan.recipe.batch.max_prompt_tokens)
    data["custom_cls"] = {"path": "pkg://rl.training.verl_dataset", "name": "TargetDataset"}
    sections: dict[str, JsonValue] = {
        "data": data,
        "model": {"path": str(plan.model_path)},
        "trainer": trainer_section(plan.folder, start),
    }
    return compose_config("sft_trainer_engine", sft_settings(plan.recipe, plan.steps), sections)


def train_sft(config: Any, on_step: OnStep) -> None:
    """Train in the Ray session of this process.

    Args:
        config: from `configure_sft`.
        on_step: called after each update.
    """
    from rl.verl.sft import SftTrainer

    trainer: Any = SftTrainer(config, on_step)
    trainer.fit()
