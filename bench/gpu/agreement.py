"""Masks of this project's tracker beside those of the official predictor, in float32 without TF32."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.figures import Figure, at_least, told
from bench.gpu.clip import official_steps, own_session, show_objects
from bench.gpu.tracker import DRY, LARGE
from bench.official import official_predictor
from storage.common.config import changed
from tasks.tracking.sam2.encoding import upsample_logits
from tasks.tracking.sam2.model import CONFIGS
from tasks.tracking.sam2.tracker import Sam2Tracker

OBJECTS, FRAMES = 4, 20
LEAST_IOU = 0.99


def figures(dry: bool) -> Iterator[Figure]:
    """IoU of masks at a threshold that no mask is empty or full at, and at that of the model."""
    import torch

    torch.backends.cudnn.allow_tf32 = False
    size = DRY if dry else LARGE
    config = changed(size.config, {"sam2.precision": "float32"})
    frames = 2 if dry else FRAMES
    tracker, clip = Sam2Tracker(config), size.clip
    show_objects(tracker._model)
    with own_session(tracker, clip, OBJECTS) as session:
        steps = session._forward(0, len(clip) - 1)
        own = [_large(next(steps)[2], clip.height, clip.width) for _ in range(frames)]
    official = official_predictor(tracker._model, CONFIGS[config.sam2.model], config.sam2.image_size_px, config.device)
    logits = official_steps(official, clip, OBJECTS, "float32")
    pairs = [(mine, theirs) for here in own for mine, theirs in zip(here, next(logits)[:, 0].float(), strict=True)]
    how = f"{OBJECTS} objects, {frames} frames, float32"
    middle = [_iou(mine > theirs.median(), theirs > theirs.median()) for mine, theirs in pairs]
    yield at_least("least IoU with the official masks, at the median logit", min(middle), LEAST_IOU, how)
    zero = [_iou(mine > 0, theirs > 0) for mine, theirs in pairs if bool((theirs > 0).any())]
    if zero:
        yield at_least("least IoU with the official masks, at zero", min(zero), LEAST_IOU, f"{len(zero)} masks not empty")
    spread = torch.stack([theirs.std() for _, theirs in pairs]).median()
    apart = torch.stack([(mine - theirs).abs().max() for mine, theirs in pairs]).max()
    yield told("largest difference of a logit over the median deviation of logits", float(apart / spread), how)


def _large(logits: Any, height: int, width: int) -> list[Any]:
    return [upsample_logits(one, height, width) for one in logits]


def _iou(mine: Any, theirs: Any) -> float:
    union = int((mine | theirs).sum())
    return int((mine & theirs).sum()) / union if union else 1.0
