"""Conversion of mask logits to run-length codes at the video's size, with full-size logits of one object at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tasks.masks.instances import Instance, Mask, encode_mask
from tasks.tracking.sam2.codes import encode_stack

if TYPE_CHECKING:
    import torch

STACK = 16
"""Objects whose full-size masks are on the device together, which reduces the number of copies to the host."""


def encode_logits(ids: Sequence[int], logits: torch.Tensor, height: int, width: int, overlapping: bool) -> dict[int, Instance]:
    """Instances of the objects that are visible on a frame.

    Args:
        ids: object IDs.
        logits: float32 (objects, 1, h, w), of any size.
        height: of the video, pixels.
        width: of the video, pixels.
        overlapping: whether a pixel may belong to several objects; otherwise it belongs to the highest logit.
    """
    stacks = _stacks(logits, height, width, overlapping)
    each = (one for stack in stacks for one in (encode_stack(stack) if stack.is_cuda else map(encode_mask, stack.numpy())))
    return {object_id: instance for object_id, instance in zip(ids, each, strict=True) if instance is not None}


def masks_from_logits(logits: torch.Tensor, height: int, width: int, overlapping: bool) -> Iterator[Mask]:
    """Masks, bool (height, width), one per object.

    Args:
        logits: mask logits, float (objects, 1, h, w), at the decoder's resolution.
        height: height of the image in pixels.
        width: width of the image in pixels.
        overlapping: whether masks may overlap; else the highest logit takes the pixel.
    """
    for stack in _stacks(logits, height, width, overlapping):
        yield from stack.cpu().numpy()


def _stacks(logits: torch.Tensor, height: int, width: int, overlapping: bool) -> Iterator[torch.Tensor]:
    """Masks of `STACK` objects at a time, bool (objects, height, width), on the device of their logits."""
    import torch

    owner = None if overlapping or len(logits) < 2 else _owners(logits, height, width)
    for first in range(0, len(logits), STACK):
        some = logits[first : first + STACK]
        stack = torch.empty((len(some), height, width), dtype=torch.bool, device=logits.device)
        for mask, one in zip(stack, some, strict=True):
            torch.gt(upsample_logits(one, height, width), 0, out=mask)
        if owner is not None:
            numbers = torch.arange(first, first + len(some), device=logits.device)
            stack &= owner == numbers[:, None, None]
        yield stack


def _owners(logits: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Object with the highest logit per pixel, int64 (height, width), computed with two full-size maps in memory."""
    import torch

    best = upsample_logits(logits[0], height, width)
    owner = torch.zeros(best.shape, dtype=torch.int64, device=best.device)
    for number in range(1, len(logits)):
        here = upsample_logits(logits[number], height, width)
        owner[here > best] = number
        best = torch.maximum(best, here)
    return owner


def upsample_logits(logits: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Logits resized to the video's size, float32 (height, width).

    Args:
        logits: mask logits, float (1, h, w), at the decoder's resolution.
        height: height of the image in pixels.
        width: width of the image in pixels.
    """
    import torch

    return torch.nn.functional.interpolate(logits[None].float(), size=(height, width), mode="bilinear")[0, 0]
