"""verl's synchronous trainer, which tells each step, and stops where verl would go on.

That is, on a loss that is no number, and without the answers whose reward broke.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import transfer_queue
from verl.trainer.ppo.v1 import PPOTrainerSync

from rl.training.checkpoints import OnStep
from rl.training.errors import TrainingError

_TOLD = {
    "pearson": "training/rollout_actor_probs_pearson_corr",
    "loss": "actor/loss",
    "kl": "actor/kl_loss",
    "grad_norm": "actor/grad_norm",
    "lr": "actor/lr",
    "entropy": "actor/entropy",
}
"""What a step tells, and verl's name for it."""
POLL_S = 0.2
"""How often the answers are looked for; verl's own two seconds are most of a small model's step."""
_FINITE = ("loss", "kl", "grad_norm")


class Trainer(PPOTrainerSync):
    """verl's trainer with a listener."""

    def __init__(self, config: Any, on_step: OnStep) -> None:
        super().__init__(config)
        self._on_step = on_step
        self.replay_buffer.poll_interval = POLL_S

    def on_sample_end(self) -> None:
        """Refuse a batch of which answers are missing: verl trains on what is left of it.

        Raises:
            TrainingError: answers are missing.
        """
        own: Any = super()
        own.on_sample_end()
        if missing := self.replay_buffer.failure_keys["train"]:
            raise TrainingError(f"the answers to {len(missing)} of the prompts of step {self.global_steps} are missing")

    def step(self, metrics: dict[str, Any], timing_raw: dict[str, float]) -> Any:
        """One update.

        Raises:
            TrainingError: loss, divergence or gradient is no number; the weights are as they were.
        """
        started = time.perf_counter()
        batch = super().step(metrics, timing_raw)
        seconds = time.perf_counter() - started
        told = numbers(self.global_steps, metrics, _TOLD)
        answered = [tag for tag in batch.tags if not tag.get("is_padding", False)]
        tokens = sum(tag["seq_len"] for tag in answered)
        self._on_step(
            {
                "step": self.global_steps,
                "of": self.total_training_steps,
                "seconds": round(seconds, 3),
                "tokens_per_s": round(tokens / seconds, 1),
                "answer_tokens": sum(tag["response_len"] for tag in answered) / len(answered),
                **told,
                **self._rewards(batch),
                "timing": {name: round(value, 3) for name, value in timing_raw.items()},
            }
        )
        return batch

    def _rewards(self, batch: Any) -> dict[str, float]:
        """Means of the reward and its parts over the batch's answers."""
        keys = [key for key, tag in zip(batch.keys, batch.tags, strict=True) if not tag.get("is_padding", False)]
        fields = transfer_queue.kv_batch_get(keys=keys, partition_id=batch.partition_id, select_fields=["extra_fields"])
        return means([getattr(one, "data", one)["reward_extra_info"] for one in fields["extra_fields"]])


def numbers(step: int, metrics: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, float]:
    """What a step tells of verl's metrics.

    Args:
        step: counted from 1.
        metrics: verl's.
        names: of what is told -> verl's.

    Raises:
        TrainingError: loss, divergence or gradient is no number.
    """
    told = {name: float(metrics[key]) for name, key in names.items() if key in metrics}
    for name in _FINITE:
        if not math.isfinite(told.get(name, 0.0)):
            raise TrainingError(f"'{name}' of step {step} is {told[name]}: a lower learning rate may help")
    return told


def means(rewards: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Mean of each number over the answers; the score is called `reward`."""
    numbers = [name for name, value in rewards[0].items() if isinstance(value, int | float)]
    return {"reward" if name == "score" else name: float(np.mean([one[name] for one in rewards])) for name in numbers}
