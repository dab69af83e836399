"""verl's synchronous GRPO trainer with a listener, which stops where verl would continue silently.

It stops on a loss that is not finite, and on responses whose reward function raised.
"""

from __future__ import annotations

import time
from typing import Any

import transfer_queue
from verl.trainer.ppo.v1 import PPOTrainerSync

from rl.verl.errors import TrainingError
from rl.verl.metrics import OnStep, StepMetrics, finite_metrics, mean_rewards

_NAMES = {
    "pearson": "training/rollout_actor_probs_pearson_corr",
    "loss": "actor/loss",
    "kl": "actor/kl_loss",
    "grad_norm": "actor/grad_norm",
    "learning_rate": "actor/lr",
    "entropy": "actor/entropy",
}
"""Field of `StepMetrics` -> verl's name."""
POLL_S = 0.2
"""Interval at which responses are collected, seconds; verl's own two seconds are most of a small model's step."""


class Trainer(PPOTrainerSync):
    """verl's trainer with a listener.

    Args:
        config: verl's configuration.
        on_step: called after each update.
    """

    def __init__(self, config: Any, on_step: OnStep) -> None:
        super().__init__(config)
        self._on_step = on_step
        self.replay_buffer.poll_interval = POLL_S

    def on_sample_end(self) -> None:
        """Refuse a batch that lacks responses: verl would train on the rest of it.

        Raises:
            TrainingError: responses are missing.
        """
        base: Any = super()
        base.on_sample_end()
        if missing := self.replay_buffer.failure_keys["train"]:
            raise TrainingError(f"the answers to {len(missing)} of the prompts of step {self.global_steps} are missing")

    def step(self, metrics: dict[str, float], timing_raw: dict[str, float]) -> Any:
        """Update the weights once.

        Args:
            metrics: verl fills it.
            timing_raw: verl fills it with the seconds of each phase.

        Raises:
            TrainingError: loss, divergence or gradient norm is not finite; no checkpoint of the step is written.
        """
        started = time.perf_counter()
        batch = super().step(metrics, timing_raw)
        seconds = time.perf_counter() - started
        values = finite_metrics(self.global_steps, metrics, _NAMES)
        responses = [tag for tag in batch.tags if not tag.get("is_padding", False)]
        record = StepMetrics(
            step=self.global_steps,
            total_steps=self.total_training_steps,
            seconds=round(seconds, 3),
            tokens_per_s=round(sum(tag["seq_len"] for tag in responses) / seconds, 1),
            response_tokens=sum(tag["response_len"] for tag in responses) / len(responses),
            timing={name: round(value, 3) for name, value in timing_raw.items()},
        )
        self._on_step(record.model_copy(update={**values, **self._rewards(batch)}))
        return batch

    def _rewards(self, batch: Any) -> dict[str, float]:
        """Means of the reward and its parts over the responses of a batch."""
        keys = [key for key, tag in zip(batch.keys, batch.tags, strict=True) if not tag.get("is_padding", False)]
        fields = transfer_queue.kv_batch_get(keys=keys, partition_id=batch.partition_id, select_fields=["extra_fields"])
        return mean_rewards([getattr(field, "data", field)["reward_extra_info"] for field in fields["extra_fields"]])
