"""SAM2 steps over objects that were discovered on different frames and therefore have different memory frames.

The model's own step requires a batch of objects with equal memory frames. Here each cohort, the objects discovered on one
frame, gathers its memory by the model's method; cohorts with memories of equal length attend to them together, and all are
decoded and stored together. No layer is reimplemented.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch  # noqa: TID253  this module is imported only to build a model
from sam2.modeling.sam2_base import SAM2Base  # noqa: TID253

Memories = Mapping[str, Mapping[int, Any]]
"""Memory of one cohort in the model's terms: `cond_frame_outputs` and `non_cond_frame_outputs` by frame index."""


class _Gathered(NamedTuple):
    curr: torch.Tensor
    curr_pos: torch.Tensor
    memory: torch.Tensor
    memory_pos: torch.Tensor
    num_obj_ptr_tokens: int


class _Gather(torch.nn.Module):
    """Replacement of memory attention that records its inputs and returns the image features unchanged."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: list[_Gathered] = []

    def forward(self, curr: list[torch.Tensor], curr_pos: list[torch.Tensor], **memory: Any) -> torch.Tensor:
        self.inputs.append(_Gathered(curr[0], curr_pos[0], **memory))
        return curr[0]


class CohortSAM2(SAM2Base):  # type: ignore[misc]
    """SAM2.1 whose `track_step` takes a list of cohort memories as `output_dict`, with objects in the order of cohorts."""

    memory_attention: torch.nn.Module

    def _prepare_memory_conditioned_features(
        self,
        frame_idx: int,
        is_init_cond_frame: bool,
        current_vision_feats: list[torch.Tensor],
        current_vision_pos_embeds: list[torch.Tensor],
        feat_sizes: list[tuple[int, int]],
        output_dict: Sequence[Memories],
        num_frames: int,
        track_in_reverse: bool = False,
    ) -> torch.Tensor:
        """Image features (objects, channels, height, width) after attention to the memory of each object's cohort."""
        attention, gather = self.memory_attention, _Gather()
        sizes = [cohort_size(memories) for memories in output_dict]
        self.memory_attention = gather
        try:
            for size, memories in zip(sizes, output_dict, strict=True):
                super()._prepare_memory_conditioned_features(
                    frame_idx,
                    is_init_cond_frame,
                    [feats[:, :size] for feats in current_vision_feats],
                    [pos[:, :size] for pos in current_vision_pos_embeds],
                    feat_sizes,
                    memories,
                    num_frames,
                    track_in_reverse,
                )
        finally:
            self.memory_attention = attention
        fused = _attend(attention, gather.inputs)
        height, width = feat_sizes[-1]
        every = torch.cat(fused, dim=1).permute(1, 2, 0)
        return every.reshape(*every.shape[:2], height, width)


def cohort_size(memories: Memories) -> int:
    """Number of objects of a cohort."""
    return len(next(iter(memories["cond_frame_outputs"].values()))["obj_ptr"])


def _attend(attention: torch.nn.Module, inputs: Sequence[_Gathered]) -> list[torch.Tensor]:
    """Features (tokens, objects, channels) of each cohort, in order; memories of equal length are processed together."""
    alike: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number, gathered in enumerate(inputs):
        alike[len(gathered.memory), gathered.num_obj_ptr_tokens].append(number)
    fused: dict[int, torch.Tensor] = {}
    for (_, pointers), numbers in alike.items():
        group = [inputs[number] for number in numbers]
        together = {name: torch.cat([getattr(g, name) for g in group], dim=1) for name in _Gathered._fields[:4]}
        out = attention(**together, num_obj_ptr_tokens=pointers)
        fused |= zip(numbers, out.split([g.curr.shape[1] for g in group], dim=1), strict=True)
    return [fused[number] for number in range(len(inputs))]
