"""Token positions in verl: computed as by every engine of the project, in place of transformers 5.10's."""

from __future__ import annotations

from types import MethodType
from typing import Any

from rl.engines.positions import add_positions
from rl.verl.private import use_positions_hook


def rope_index(
    processor: Any,
    input_ids: Any,
    attention_mask: Any = None,
    video_grid_thw: Any = None,
    second_per_grid_ts: Any = None,
    **_: Any,
) -> tuple[Any, Any]:
    """Rotary positions of a batch, with the signature of transformers' `get_rope_index`.

    Args:
        processor: carries its model's config, which verl attaches.
        input_ids: int64 (batch, length).
        attention_mask: int64 (batch, length); None where nothing is padded.
        video_grid_thw: int64 (videos, 3), patches before they are merged.
        second_per_grid_ts: duration of a frame pair of each video, seconds.

    Returns:
        Positions, int64 (3, batch, length), and for each row the distance of the next position from its length, (batch, 1).
    """
    import torch

    mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
    batch = {"input_ids": input_ids, "attention_mask": mask}
    if video_grid_thw is not None:
        batch |= {"video_grid_thw": video_grid_thw, "second_per_grid_ts": second_per_grid_ts}
    positions = add_positions(batch, processor.config)["position_ids"][1:]
    return positions, positions.amax(dim=(0, 2))[:, None] + 1 - mask.sum(dim=1, keepdim=True)


def rope_index_kwargs(processor: Any, inputs: Any) -> dict[str, list[float] | None]:
    """Verl's hook `get_rope_index_kwargs`: adds the duration of frame pairs, which verl does not pass on by itself.

    It also replaces the processor's `get_rope_index`, which verl bound to transformers' when it loaded the processor.

    Args:
        processor: the processor that verl is about to compute positions with.
        inputs: outputs of the processor for one prompt.
    """
    processor.get_rope_index = MethodType(rope_index, processor)
    return {"second_per_grid_ts": inputs.get("second_per_grid_ts")}


def install() -> None:
    """Use these positions for every Qwen2.5-VL processor of this process."""
    use_positions_hook(rope_index_kwargs)
