"""Where a step of the tracker takes its time: each part of SAM2.1-large by itself, and attention by each of torch's kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from bench.figures import Figure, told
from bench.gpu.machine import median_seconds
from bench.gpu.tracker import DRY, LARGE
from tasks.tracking.sam2.model import build_model

KERNELS = ("CUDNN_ATTENTION", "FLASH_ATTENTION", "EFFICIENT_ATTENTION")
MEMORIES, POINTERS = 7, 64
"""Frames and pointer tokens that an object attends to once its memory is full."""


def figures(dry: bool) -> Iterator[Figure]:
    """Milliseconds of each part for 16 objects and for one."""
    import torch

    size = DRY if dry else LARGE
    device = torch.device(size.config.device)
    model, side = build_model(size.config, None), size.config.sam2.image_size_px // 16
    image = torch.randn(1, 3, side * 16, side * 16, device=device)
    repeats = 1 if dry else 9
    if not dry:
        yield from _kernels(side**2, device, repeats)
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16):
        yield _piece("image encoder", lambda: model.forward_image(image), repeats, "one frame")
        if not dry:
            yield told("ms, image encoder, as a CUDA graph", 1e3 * _replayed(model, image, repeats), "one frame")
        for objects in (2, 1) if dry else (16, 1):
            for name, step in _parts(model, objects, side, device).items():
                yield _piece(name, step, repeats, f"{objects} objects")
        if not dry:
            model.memory_attention.forward = torch.compile(model.memory_attention.forward, dynamic=True)
            step = _parts(model, 16, side, device)["memory attention"]
            yield _piece("memory attention, compiled", step, repeats, "16 objects")


def _piece(name: str, step: Callable[[], object], repeats: int, how: str) -> Figure:
    return told(f"ms, {name}", 1e3 * median_seconds(step, repeats), how)


def _parts(model: Any, objects: int, side: int, device: Any) -> dict[str, Callable[[], object]]:
    """Calls of the model's parts on random inputs of a full memory."""
    import torch

    def drawn(*shape: int) -> Any:
        return torch.randn(*shape, device=device)

    tokens, length = side**2, MEMORIES * side**2 + POINTERS
    image, memory = drawn(tokens, 1, 256).expand(-1, objects, -1), drawn(length, objects, 64).bfloat16()
    positions, memory_positions = drawn(tokens, 1, 256).expand(-1, objects, -1), drawn(length, objects, 64)
    fused, fine = (
        drawn(objects, 256, side, side),
        [drawn(objects, 32, 4 * side, 4 * side), drawn(objects, 64, 2 * side, 2 * side)],
    )
    masks, scores = drawn(objects, 1, 16 * side, 16 * side), torch.ones(objects, 1, device=device)
    return {
        "memory attention": lambda: model.memory_attention(
            curr=[image], curr_pos=[positions], memory=memory, memory_pos=memory_positions, num_obj_ptr_tokens=POINTERS
        ),
        "mask decoder": lambda: model._forward_sam_heads(
            backbone_features=fused, high_res_features=fine, multimask_output=True
        ),
        "memory encoder": lambda: model._encode_new_memory([image], [(side, side)], masks, scores, False),
    }


def _kernels(tokens: int, device: Any, repeats: int) -> Iterator[Figure]:
    """Attention of a frame's tokens to a full memory, 16 objects, 256 channels, by each kernel; values of 64 channels too."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    length = MEMORIES * tokens + POINTERS
    query, key = (torch.randn(16, 1, n, 256, device=device, dtype=torch.bfloat16) for n in (tokens, length))
    yield _piece(
        "attention within a frame", lambda: _attend(query, query, query), repeats, "16 objects, torch's choice of kernel"
    )
    for channels in (256, 64):
        value = torch.randn(16, 1, length, channels, device=device, dtype=torch.bfloat16)
        for name in KERNELS:
            with sdpa_kernel(getattr(SDPBackend, name)):
                try:
                    yield _piece(name, lambda v=value: _attend(query, key, v), repeats, f"16 objects, values of {channels}")
                except RuntimeError:
                    continue  # flash-attention takes no values that are narrower than keys


def _attend(query: Any, key: Any, value: Any) -> Any:
    import torch

    return torch.nn.functional.scaled_dot_product_attention(query, key, value)


def _replayed(model: Any, image: Any, repeats: int) -> float:
    """Seconds of the encoder as a CUDA graph: the GPU's time without the host's."""
    import torch

    with torch.autocast("cuda", torch.bfloat16, cache_enabled=False):
        model.forward_image(image)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            model.forward_image(image)
    return median_seconds(graph.replay, repeats)
