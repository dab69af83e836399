"""Memory of the objects tracked in one direction of time, and the step from one frame to the next."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

import numpy as np

from tasks.masks.instances import Mask
from tasks.tracking.sam2.features import Features

if TYPE_CHECKING:
    import torch

T = TypeVar("T")


class StepOutputs(TypedDict):
    """What later frames attend to of a step of the model.

    Attributes:
        maskmem_features: memory of the masks, bfloat16 (objects, channels, side / 16, side / 16).
        maskmem_pos_enc: its position encodings, each (objects, channels, side / 16, side / 16).
        obj_ptr: pointers of the objects (objects, channels).
    """

    maskmem_features: torch.Tensor
    maskmem_pos_enc: list[torch.Tensor]
    obj_ptr: torch.Tensor


@dataclass
class Cohort:
    """Objects discovered on one frame.

    Attributes:
        ids: object IDs, in the order of the tensors' first dimension.
        memories: frame index -> outputs of the model's step there, under `cond_frame_outputs` for the frame of discovery and
            `non_cond_frame_outputs` for tracked frames.
    """

    ids: list[int]
    memories: dict[str, dict[int, StepOutputs]]


class Memory:
    """Memory of the objects tracked in one direction, without frames that later frames cannot attend to."""

    def __init__(self, model: Any, frame_count: int, at_once: int, reverse: bool) -> None:
        """Create an empty memory of a `CohortSAM2` for a video of `frame_count` frames, with `at_once` objects per step."""
        self._model, self._frame_count, self._at_once, self._reverse = model, frame_count, at_once, reverse
        self._cohorts: list[Cohort] = []
        self._positions: list[torch.Tensor] = []
        self.steps = 0

    @property
    def ids(self) -> list[int]:
        """IDs of the tracked objects, in the order of `step`'s masks."""
        return [object_id for cohort in self._cohorts for object_id in cohort.ids]

    def add(self, index: int, features: Features, masks: Mapping[int, Mask]) -> None:
        """Start to track objects by their masks on a frame; an object that is tracked already is restarted.

        Args:
            index: 0-based native frame index.
            features: image features of that frame.
            masks: object ID -> mask, bool (height, width).
        """
        self.drop(masks.keys())
        for some in chunked(list(masks), self._at_once):
            out = self._prompted(index, features, [masks[object_id] for object_id in some])
            self._cohorts.append(Cohort(list(some), {"cond_frame_outputs": {index: out}, "non_cond_frame_outputs": {}}))

    def drop(self, ids: Collection[int]) -> None:
        """Stop tracking objects."""
        for cohort in self._cohorts:
            kept = [number for number, object_id in enumerate(cohort.ids) if object_id not in ids]
            if len(kept) < len(cohort.ids):
                cohort.ids = [cohort.ids[number] for number in kept]
                for outputs in cohort.memories.values():
                    outputs.update({i: self._kept(o["maskmem_features"][kept], o["obj_ptr"][kept]) for i, o in outputs.items()})
        self._cohorts = [cohort for cohort in self._cohorts if cohort.ids]

    def step(self, index: int, features: Features) -> torch.Tensor:
        """Track all objects on the next frame in the direction of time.

        Args:
            index: 0-based native frame index.
            features: image features of that frame.

        Returns:
            Mask logits, float32 (objects, 1, side / 4, side / 4), in the order of `ids`, which must not be empty.
        """
        import torch

        logits = [self._stepped(index, features, list(cohorts)) for cohorts in self._batches()]
        return torch.cat(logits)

    def _batches(self) -> Iterator[Sequence[Cohort]]:
        """Consecutive cohorts, grouped up to `at_once` objects."""
        batch: list[Cohort] = []
        for cohort in self._cohorts:
            if batch and sum(len(c.ids) for c in batch) + len(cohort.ids) > self._at_once:
                yield batch
                batch = []
            batch.append(cohort)
        if batch:
            yield batch

    def _stepped(self, index: int, features: Features, cohorts: Sequence[Cohort]) -> torch.Tensor:
        sizes = [len(cohort.ids) for cohort in cohorts]
        memories = [cohort.memories for cohort in cohorts]
        out = self._run(index, features, sum(sizes), output_dict=memories, is_init_cond_frame=False)
        logits: torch.Tensor = out["pred_masks"]
        parts = zip(out["maskmem_features"].bfloat16().split(sizes), out["obj_ptr"].split(sizes), strict=True)
        for cohort, (spatial, pointer) in zip(cohorts, parts, strict=True):
            cohort.memories["non_cond_frame_outputs"][index] = self._kept(spatial, pointer)
            self._forget(cohort.memories["non_cond_frame_outputs"], index)
        self.steps += sum(sizes)
        return logits

    def _prompted(self, index: int, features: Features, masks: Sequence[Mask]) -> StepOutputs:
        """Outputs on the frame of discovery, with the given masks in place of predicted ones."""
        import torch

        inputs = torch.cat([self._as_input(mask) for mask in masks])
        out = self._run(
            index, features, len(masks), mask_inputs=inputs, output_dict=(), is_init_cond_frame=True, run_mem_encoder=False
        )
        side = self._model.image_size
        vision, _, sizes = features.expanded(self._model, len(masks))
        spatial, self._positions = self._model._encode_new_memory(
            current_vision_feats=vision,
            feat_sizes=sizes,
            pred_masks_high_res=torch.nn.functional.interpolate(out["pred_masks"], size=(side, side), mode="bilinear"),
            object_score_logits=out["object_score_logits"],
            is_mask_from_pts=True,
        )
        self._positions = [position[:1].clone() for position in self._positions]
        return self._kept(spatial.bfloat16(), out["obj_ptr"])

    def _run(self, index: int, features: Features, objects: int, **options: Any) -> dict[str, Any]:
        vision, positions, sizes = features.expanded(self._model, objects)
        options = {"mask_inputs": None, "run_mem_encoder": True} | options
        out: dict[str, Any] = self._model.track_step(
            frame_idx=index,
            current_vision_feats=vision,
            current_vision_pos_embeds=positions,
            feat_sizes=sizes,
            point_inputs=None,
            num_frames=self._frame_count,
            track_in_reverse=self._reverse,
            **options,
        )
        return out

    def _as_input(self, mask: Mask) -> torch.Tensor:
        """Mask in the model's input format, float32 (1, 1, side, side) of 0 and 1."""
        import torch

        side = self._model.image_size
        image = torch.from_numpy(mask.view(np.uint8))[None, None].to(self._model.device).float()
        if mask.shape == (side, side):
            return image
        scaled = torch.nn.functional.interpolate(image, size=(side, side), mode="bilinear", antialias=True)
        return (scaled >= 0.5).float()

    def _kept(self, spatial: torch.Tensor, pointer: torch.Tensor) -> StepOutputs:
        """Outputs that later frames attend to; position encodings are equal for all, so one copy is expanded."""
        positions = [position.expand(len(pointer), -1, -1, -1) for position in self._positions]
        return {"maskmem_features": spatial, "maskmem_pos_enc": positions, "obj_ptr": pointer}

    def _forget(self, outputs: dict[int, StepOutputs], index: int) -> None:
        """Drop outputs that frames after `index` cannot attend to: masks and object pointers have a limited range."""
        model = self._model
        reach = max(model.num_maskmem * model.memory_temporal_stride_for_eval, model.max_obj_ptrs_in_encoder)
        for old in [i for i in outputs if abs(index - i) >= reach]:
            del outputs[old]


def chunked(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Consecutive chunks of at most `size` items.

    Args:
        items: items to split.
        size: maximum number of items per chunk.
    """
    for first in range(0, len(items), size):
        yield items[first : first + size]
