"""The SAM2.1 model of the `sam2` package: built without network or progress bars, from a checkpoint or a fixed seed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tasks.track import TrackConfig
from tasks.weights import Weights, WeightsError

CONFIGS = {"tiny": "t", "small": "s", "base_plus": "b+", "large": "l"}
"""Size -> the letters of its file among the SAM2.1 configs of the package."""

RANDOM_SEED = 62
"""Seed of random weights. Most seeds see no object, so that every mask is empty, or cover the whole frame; with this one
the tiny model's masks cover 10 to 90 % of a frame (192 to 512 px, five clips)."""

STRIDE = 32
"""The encoder halves the image five times and adds what it halved: other sides do not fit together."""


def build_predictor(config: TrackConfig) -> Any:
    """Build the package's video predictor.

    Raises:
        ValueError: no model of that name, or an image size it cannot take.
        WeightsError: the checkpoint cannot be read or is of another model.
    """
    import torch
    from sam2 import build_sam, sam2_video_predictor

    if config.model not in CONFIGS:
        raise ValueError(f"there is no SAM2.1 model '{config.model}'; known: {', '.join(CONFIGS)}")
    if config.image_size_px % STRIDE:
        raise ValueError(f"SAM2.1 needs an image size that is a multiple of {STRIDE}, not {config.image_size_px}")
    # The predictor finds its progress bar in its module, and has no switch for it.
    sam2_video_predictor.tqdm = _without_bar
    name = f"configs/sam2.1/sam2.1_hiera_{CONFIGS[config.model]}.yaml"
    side = f"++model.image_size={config.image_size_px}"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RANDOM_SEED)
        predictor = build_sam.build_sam2_video_predictor(name, device=config.device, hydra_overrides_extra=[side])
    # Holes are filled by a CUDA extension, which is not built here: the predictor would only warn, on every frame.
    predictor.fill_hole_area = 0
    if config.weights is not None:
        _load(predictor, config.weights, config.model)
    return predictor


def _without_bar(steps: Iterable[int], **_: object) -> Iterable[int]:
    return steps


def _load(predictor: Any, weights: Weights, model: str) -> None:
    from sam2 import build_sam

    if not weights.path.is_file():
        raise WeightsError(f"no weight file {weights.path} for SAM2.1 {model}: it was there when it was looked up")
    try:
        build_sam._load_checkpoint(predictor, str(weights.path))
    except Exception as error:
        # The library lists every parameter that differs; which ones helps nobody.
        raise WeightsError(f"{weights.path.name} is not a SAM2.1 {model} checkpoint ({type(error).__name__})") from error
