"""verl's supervised trainer, which tells each step and stops on a loss that is no number.

verl has two: one for torchrun, and this one, whose workers are Ray actors, one a device, as in GRPO.
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

from rl.training.checkpoints import OnStep
from rl.verl.private import check_doors
from rl.verl.trainer import numbers

_TRAINER = "verl.trainer.sft_trainer_ray.SFTTrainer"
check_doors(f"{_TRAINER}._build_dataloader", f"{_TRAINER}._build_engine")

_TOLD = {name: name for name in ("loss", "grad_norm", "lr")}


class SftTrainer(SFTTrainer):
    """verl's trainer with a listener."""

    def __init__(self, config: Any, on_step: OnStep) -> None:
        self._on_step, own = on_step, cast("Any", super())
        own.__init__(config)
        self._step = self.resume_global_step

    def _build_dataloader(self) -> None:
        """As configured, where verl's own has eight processes and the seed 0."""
        cast("Any", super())._build_dataloader()
        self.train_dataloader.num_workers = self.config.data.num_workers
        self.train_sampler.seed = self.config.data.seed

    def _build_engine(self) -> None:
        """One worker a device, as verl has it, but without the ten CPUs that it asks for beside each."""
        parts = ("model", "engine", "optimizer", "checkpoint", "profiler")
        given = {f"{part}_config": getattr(self, f"{part}_config") for part in parts}
        worker = RayClassWithInitArgs(
            ray.remote(TrainingWorker), config=TrainingWorkerConfig(model_type="language_model", **given)
        )
        pool = RayResourcePool(process_on_nodes=[self.config.trainer.n_gpus_per_node], max_colocate_count=1)
        workers: Any = RayWorkerGroup(pool, worker, device_name=self.config.trainer.device)
        workers.set_loss_fn(loss_fn=partial(cast("Any", sft_loss), config=None))
        workers.reset()
        self._train, workers.train_batch = workers.train_batch, self._told
        self.training_client = workers

    def _told(self, batch: Any) -> Any:
        """One update; returns it as one that is waited for.

        Raises:
            TrainingError: loss or gradient is no number; the weights are as they were.
        """
        started = time.perf_counter()
        output = self._train(batch).get()
        seconds = time.perf_counter() - started
        self._step += 1
        answers, tokens = batch["loss_mask"], batch["input_ids"].values().numel()
        self._on_step(
            {
                "step": self._step,
                "of": self.total_training_steps,
                "seconds": round(seconds, 3),
                "tokens_per_s": round(tokens / seconds, 1),
                "answer_tokens": int(answers.values().sum()) / len(answers),
                **numbers(self._step, get(output, "metrics"), _TOLD),
            }
        )
        return SimpleNamespace(get=lambda: output)
