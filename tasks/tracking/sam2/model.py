"""The SAM2.1 model of the `sam2` package, built offline from a checkpoint or a fixed seed."""

from __future__ import annotations

from typing import Any

from tasks.tracking.config import TrackerConfig
from tasks.weights import Weights, WeightsError

CONFIGS = {"tiny": "t", "small": "s", "base_plus": "b+", "large": "l"}
"""Size -> suffix of its file among the SAM2.1 configurations of the package."""

RANDOM_SEED = 61
"""Seed of random weights. With most seeds, masks are empty or cover the whole frame; with this one, masks of the tiny model
cover 5 to 95 % of most frames, forward and backward."""

OVERRIDES = (
    "++model._target_=tasks.tracking.sam2.cohorts.CohortSAM2",
    "++model.memory_attention.layer.self_attention._target_=tasks.tracking.sam2.rope.FusedRoPEAttention",
    "++model.memory_attention.layer.cross_attention._target_=tasks.tracking.sam2.rope.FusedRoPEAttention",
    # As in the package's video predictor: the memory of a prompt is the prompted mask.
    "++model.binarize_mask_from_pts_for_mem_enc=true",
)

COMPILED = {"image_encoder": False, "memory_attention": True, "memory_encoder": True, "sam_mask_decoder": True}
"""Parts compiled by `compiled`, and whether their shapes vary."""


def build_model(config: TrackerConfig, weights: Weights | None) -> Any:
    """Build the model in evaluation mode.

    Args:
        config: size, image size, device, whether its parts are compiled.
        weights: its checkpoint; None fills it with random weights from a fixed seed.

    Raises:
        WeightsError: the checkpoint cannot be read or belongs to another model.
    """
    import torch
    from sam2 import build_sam

    name = f"configs/sam2.1/sam2.1_hiera_{CONFIGS[config.sam2.model]}.yaml"
    chosen = [*OVERRIDES, f"++model.image_size={config.sam2.image_size_px}"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RANDOM_SEED)
        model = build_sam.build_sam2(name, device=config.device, hydra_overrides_extra=chosen, apply_postprocessing=True)
    if weights is not None:
        _load(model, weights, config.sam2.model)
    return _compiled(model) if config.sam2.compiled else model


def _compiled(model: Any) -> Any:
    """Compile the parts of the model; the numbers of objects and memories vary, the image size does not."""
    import torch

    for part, dynamic in COMPILED.items():
        module = getattr(model, part)
        module.forward = torch.compile(module.forward, dynamic=dynamic)
    return model


def _load(model: Any, weights: Weights, name: str) -> None:
    from sam2 import build_sam

    if not weights.path.is_file():
        raise WeightsError(f"no weight file {weights.path} for SAM2.1 {name}: it existed when it was looked up")
    try:
        build_sam._load_checkpoint(model, str(weights.path))
    except Exception as error:
        # The library's message lists every mismatched parameter, which is too long to be useful.
        raise WeightsError(f"{weights.path.name} is not a SAM2.1 {name} checkpoint ({type(error).__name__})") from error
