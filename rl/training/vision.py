"""How tokens are placed in verl: as every engine of the project places them, not as transformers 5.10 does."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MethodType
from typing import Any

from rl.engines.positions import add_positions


def rope_index(
    processor: Any,
    input_ids: Any,
    attention_mask: Any = None,
    video_grid_thw: Any = None,
    second_per_grid_ts: Any = None,
    **_: Any,
) -> tuple[Any, Any]:
    """Positions (3, batch, length) and how far each row's next position is from its length, as `get_rope_index` returns them.

    Args:
        processor: which verl has given its model's config.
        input_ids: int64 (batch, length).
        attention_mask: of the same shape; None where nothing is padded.
        video_grid_thw: int64 (videos, 3), before patches are merged.
        second_per_grid_ts: seconds a frame pair, of each video.
    """
    import torch

    mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
    batch = {"input_ids": input_ids, "attention_mask": mask}
    if video_grid_thw is not None:
        batch |= {"video_grid_thw": video_grid_thw, "second_per_grid_ts": second_per_grid_ts}
    placed = add_positions(batch, processor.config)["position_ids"][1:]
    return placed, placed.amax(dim=(0, 2))[:, None] + 1 - mask.sum(dim=1, keepdim=True)


def timed_rope_index(processor: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The hook `get_rope_index_kwargs` of verl: the seconds a frame pair, which verl does not pass on by itself.

    verl calls it right before `processor.get_rope_index`, which is transformers' until then: bound to a processor when that
    was loaded, wherever that was.
    """
    processor.get_rope_index = MethodType(rope_index, processor)
    return {"second_per_grid_ts": inputs.get("second_per_grid_ts")}


def install() -> None:
    """Let every Qwen2.5-VL processor of this process place tokens so."""
    library: Any = import_module("transformers")
    library.Qwen2_5_VLProcessor.get_rope_index_kwargs = timed_rope_index
