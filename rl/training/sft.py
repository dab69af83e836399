"""Supervised fine-tuning by verl: its configuration for one run, and its trainer with Ray actors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rl.training.check import Checked
from rl.training.checkpoints import OnStep
from rl.training.overrides import going_on, merged, sft_overrides
from rl.training.recipe import Sft
from rl.training.rows import verl_data


def configured(folder: Path, checked: Checked, start: int) -> Any:
    """The configuration of verl; validation is an evaluation of its own, so that no rows are held against it here."""
    assert isinstance(checked.recipe, Sft)
    assert checked.model.weights is not None
    rows = verl_data([one.file("train") for one in checked.rows], [], checked.recipe.max_prompt_tokens)
    rows["custom_cls"] = {"path": "pkg://rl.training.verl_dataset", "name": "AnsweredRows"}
    of_this_run = {
        "data": rows,
        "model": {"path": str(checked.model.weights.path)},
        "trainer": going_on(folder, start),
    }
    return merged("sft_trainer_engine", sft_overrides(checked.recipe, checked.steps), of_this_run)


def run(config: Any, on_step: OnStep) -> None:
    """Train, in the Ray of this process."""
    from rl.verl.sft import SftTrainer

    trainer: Any = SftTrainer(config, on_step)
    trainer.fit()
