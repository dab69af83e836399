"""verl's supervised trainer with a listener, which stops on a loss that is not finite.

verl has two supervised trainers: one for torchrun, and this one, whose workers are Ray actors, one a device, as in GRPO.
"""

from __future__ import annotations

import time
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import ray
from verl.single_controller.ray import RayClassWithInitArgs, RayResourcePool, RayWorkerGroup
from verl.trainer.sft_trainer_ray import SFTTrainer
from verl.utils.tensordict_utils import get
from verl.workers.config import TrainingWorkerConfig
from verl.workers.engine_workers import TrainingWorker
from verl.workers.utils.losses import sft_loss

from rl.verl.metrics import OnStep, StepMetrics, finite_metrics
from rl.verl.private import overrides

_TRAINER = "verl.trainer.sft_trainer_ray.SFTTrainer"
_NAMES = {"loss": "loss", "grad_norm": "grad_norm", "learning_rate": "lr"}
"""Field of `StepMetrics` -> verl's name."""


class SftTrainer(SFTTrainer):
    """verl's supervised trainer with a listener.

    Args:
        config: verl's configuration.
        on_step: called after each update.
    """

    def __init__(self, config: Any, on_step: OnStep) -> None:
        self._on_step, base = on_step, cast("Any", super())
        base.__init__(config)
        self._step = self.resume_global_step

    @overrides(f"{_TRAINER}._build_dataloader")
    def _build_dataloader(self) -> None:
        """Apply the configured workers and seed; verl's own are eight processes and the seed 0."""
        cast("Any", super())._build_dataloader()
        self.train_dataloader.num_workers = self.config.data.num_workers
        self.train_sampler.seed = self.config.data.seed

    @overrides(f"{_TRAINER}._build_engine")
    def _build_engine(self) -> None:
        """Start one worker a device, without the ten CPUs that verl reserves for each."""
        parts = ("model", "engine", "optimizer", "checkpoint", "profiler")
        configs = {f"{part}_config": getattr(self, f"{part}_config") for part in parts}
        worker = RayClassWithInitArgs(
            ray.remote(TrainingWorker), config=TrainingWorkerConfig(model_type="language_model", **configs)
        )
        pool = RayResourcePool(process_on_nodes=[self.config.trainer.n_gpus_per_node], max_colocate_count=1)
        workers: Any = RayWorkerGroup(pool, worker, device_name=self.config.trainer.device)
        workers.set_loss_fn(loss_fn=partial(cast("Any", sft_loss), config=None))
        workers.reset()
        self._train, workers.train_batch = workers.train_batch, self._train_and_report
        self.training_client = workers

    def _train_and_report(self, batch: Any) -> Any:
        """Update the weights once; the result has the `get` of a Ray future.

        Raises:
            TrainingError: loss or gradient norm is not finite; no checkpoint of the step is written.
        """
        started = time.perf_counter()
        output = self._train(batch).get()
        seconds = time.perf_counter() - started
        self._step += 1
        mask, tokens = batch["loss_mask"], batch["input_ids"].values().numel()
        values = finite_metrics(self._step, get(output, "metrics"), _NAMES)
        record = StepMetrics(
            step=self._step,
            total_steps=self.total_training_steps,
            seconds=round(seconds, 3),
            tokens_per_s=round(tokens / seconds, 1),
            response_tokens=int(mask.values().sum()) / len(mask),
        )
        self._on_step(record.model_copy(update=values))
        return SimpleNamespace(get=lambda: output)
