"""Training engines in verl's registry: its FSDP2 with a linear decay of the learning rate, on CUDA and on a CPU.

Named as `actor_rollout_ref.model.external_lib`, this is imported by every training worker. The schedule is chosen by the
optimizer's `_target_`, since verl's own settings refuse any but `constant` and `cosine`.
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

from rl.verl.private import check_doors

_ENGINE = "verl.workers.engine.fsdp.transformer_impl.FSDPEngine"
check_doors(f"{_ENGINE}._build_lr_scheduler", f"{_ENGINE}._build_fsdp_module")


@dataclass
class LinearDecayConfig(FSDPOptimizerConfig):
    """verl's optimizer settings with a rate that falls linearly from `lr` to zero over all steps."""

    lr_scheduler_type: str = "linear"

    def __post_init__(self) -> None:
        OptimizerConfig.__post_init__(self)


def linear_decay(step: int, steps: int) -> float:
    """Share of the learning rate in a step, as transformers' linear schedule without warm-up has it.

    Args:
        step: counted from 0.
        steps: of the whole training.
    """
    return max(0.0, 1.0 - step / steps)


class LinearDecayEngine(FSDPEngineWithLMHead):
    """verl's engine, which also decays linearly."""

    def _build_lr_scheduler(self, optimizer: Any) -> Any:
        config = self.optimizer_config
        if not isinstance(config, LinearDecayConfig):
            own: Any = super()
            return own._build_lr_scheduler(optimizer)
        return LambdaLR(optimizer, partial(linear_decay, steps=config.total_training_steps))


@EngineRegistry.register(model_type="language_model", backend=["fsdp", "fsdp2"], device="cuda", vendor="nvidia")
class CudaEngine(LinearDecayEngine):
    """On NVIDIA GPUs; the registry prefers an engine of the vendor to verl's own."""


@EngineRegistry.register(model_type="language_model", backend=["fsdp2"], device="cpu")
class CpuEngine(LinearDecayEngine):
    """On a CPU: in float32, with nothing to offload to and no memory to pin."""

    def _build_fsdp_module(self, module: Any) -> Any:
        self._autocast_dtype, self.scaler = torch.float32, None
        self._is_offload_param = self._is_offload_optimizer = False
        precision = MixedPrecisionPolicy(param_dtype=torch.float32, reduce_dtype=torch.float32, cast_forward_inputs=True)
        options = {"mesh": self.device_mesh, "mp_policy": precision, "offload_policy": None}
        weights = module.state_dict()
        apply_fsdp2(module, {**options, "reshard_after_forward": self.engine_config.reshard_after_forward}, self.engine_config)
        fsdp2_load_full_state_dict(module, weights, self.device_mesh, None)
        return module
