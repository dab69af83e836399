"""Training engines in verl's registry: FSDP2 with a linear decay of the learning rate, on CUDA and on a CPU.

Every training worker imports this module, which `actor_rollout_ref.model.external_lib` names. The optimizer's `_target_`
selects the schedule, since verl's own settings accept only `constant` and `cosine`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.distributed.fsdp import MixedPrecisionPolicy
from torch.optim.lr_scheduler import LambdaLR
from verl.utils.fsdp_utils import apply_fsdp2, fsdp2_load_full_state_dict
from verl.workers.config import FSDPOptimizerConfig, OptimizerConfig
from verl.workers.engine import EngineRegistry
from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead

from rl.verl.private import overrides

_ENGINE = "verl.workers.engine.fsdp.transformer_impl.FSDPEngine"


@dataclass
class LinearDecayConfig(FSDPOptimizerConfig):
    """verl's optimizer settings with a learning rate that decays linearly from `lr` to zero over all steps."""

    lr_scheduler_type: str = "linear"

    def __post_init__(self) -> None:
        OptimizerConfig.__post_init__(self)


def linear_decay(step: int, steps: int) -> float:
    """Factor of the learning rate in a step, that of transformers' linear schedule without warm-up.

    Args:
        step: index of the update, from 0.
        steps: updates of the whole training.
    """
    return max(0.0, 1.0 - step / steps)


class LinearDecayEngine(FSDPEngineWithLMHead):
    """verl's engine with the linear schedule."""

    @overrides(f"{_ENGINE}._build_lr_scheduler")
    def _build_lr_scheduler(self, optimizer: Any) -> Any:
        config = self.optimizer_config
        if not isinstance(config, LinearDecayConfig):
            base: Any = super()
            return base._build_lr_scheduler(optimizer)
        return LambdaLR(optimizer, partial(linear_decay, steps=config.total_training_steps))


@EngineRegistry.register(model_type="language_model", backend=["fsdp", "fsdp2"], device="cuda", vendor="nvidia")
class CudaEngine(LinearDecayEngine):
    """Engine on NVIDIA GPUs; the registry prefers a vendor's engine to verl's own."""


@EngineRegistry.register(model_type="language_model", backend=["fsdp2"], device="cpu")
class CpuEngine(LinearDecayEngine):
    """Engine on a CPU: float32, without offloading and pinned memory."""

    @overrides(f"{_ENGINE}._build_fsdp_module")
    def _build_fsdp_module(self, module: Any) -> Any:
        self._autocast_dtype, self.scaler = torch.float32, None
        self._is_offload_param = self._is_offload_optimizer = False
        precision = MixedPrecisionPolicy(param_dtype=torch.float32, reduce_dtype=torch.float32, cast_forward_inputs=True)
        options = {"mesh": self.device_mesh, "mp_policy": precision, "offload_policy": None}
        weights = module.state_dict()
        apply_fsdp2(module, {**options, "reshard_after_forward": self.engine_config.reshard_after_forward}, self.engine_config)
        fsdp2_load_full_state_dict(module, weights, self.device_mesh, None)
        return module
