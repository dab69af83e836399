"""The private doors of verl, each opened here and nowhere else.

verl is pinned exactly. Another version says so in one sentence, instead of training something else in silence.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from importlib.metadata import version
from inspect import signature
from typing import Any

from rl.verl import VERL

_AXES = 4
"""Rows of a sequence's positions: text, time, row, column."""


class VerlError(Exception):
    """A verl whose inner parts are not those that this code was written for."""


DOORS = {
    "verl.trainer.sft_trainer_ray.SFTTrainer._build_dataloader": "(self)",
    "verl.trainer.sft_trainer_ray.SFTTrainer._build_engine": "(self)",
    "verl.utils.distributed.initialize_global_process_group_ray": "(timeout_second=None, backend=None)",
    "verl.utils.tensordict_utils.maybe_fix_3d_position_ids": "(data: tensordict._td.TensorDict)",
    "verl.workers.engine.fsdp.transformer_impl.FSDPEngine._build_lr_scheduler": "(self, optimizer)",
    "verl.workers.engine.fsdp.transformer_impl.FSDPEngine._build_fsdp_module": "(self, module)",
    "verl.workers.rollout.base._ROLLOUT_REGISTRY": "",
}
"""Where each is, and its signature."""


def check_doors(*names: str) -> None:
    """Make sure that doors are where they were, and of the same shape.

    Args:
        names: keys of `DOORS`.

    Raises:
        VerlError: verl has changed there.
    """
    for name in names:
        found = _found(name)
        if found is None or (DOORS[name] and str(signature(found)) != DOORS[name]):
            here = version("verl")
            raise VerlError(f"'{name}' of verl {here} is not the one of {VERL}, for which this is: install verl=={VERL}")


def _found(name: str) -> Any:
    """What a dotted name stands for; None if nothing does."""
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        try:
            found: Any = import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            found = getattr(found, part, None)
        return found
    return None


def open_gloo() -> None:
    """Process groups of CPU workers are gloo's: verl's own name for them, `cpu:gloo,cpu:gloo`, torch refuses."""
    name = "verl.utils.distributed.initialize_global_process_group_ray"
    check_doors(name)
    module = import_module("verl.utils.distributed")
    module.initialize_global_process_group_ray = partial(module.initialize_global_process_group_ray, backend="gloo")  # type: ignore[attr-defined]


def open_rollout(name: str, adapter: str) -> None:
    """Register the adapter of a rollout: verl has a public registry of its servers only."""
    door = "verl.workers.rollout.base._ROLLOUT_REGISTRY"
    check_doors(door)
    _found(door)[(name, "async")] = adapter


def open_equal_lengths() -> None:
    """Positions of equally long sequences: verl takes their four rows for the ragged dimension, and breaks."""
    name = "verl.utils.tensordict_utils.maybe_fix_3d_position_ids"
    check_doors(name)
    module = import_module("verl.utils.tensordict_utils")
    module.maybe_fix_3d_position_ids = ragged_by_length  # type: ignore[attr-defined]


def ragged_by_length(data: Any) -> None:
    """Make a batch's `position_ids`, jagged (batch, 4, length), ragged in their length, be the lengths equal or not."""
    nested = data.get("position_ids", None)
    if nested is None or not nested.is_nested or nested.dim() != 3:
        return
    values, end = nested.values(), int(nested.offsets()[-1])
    if values.shape == (_AXES, end):
        nested._ragged_idx = 2  # lost where a batch is pickled, as verl says of itself
        return
    rows = list(values.unflatten(0, (-1, _AXES)))
    data["position_ids"] = import_module("verl.utils.tensordict_utils").nested_tensor_from_tensor_list(rows, ragged_idx=2)
