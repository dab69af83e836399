"""The vision tower of Qwen2.5-VL-7B on 20 s of video: attention window by window beside one call a layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from bench.figures import Figure, at_least, at_most, told
from bench.gpu.machine import gib, median_seconds
from rl.models.varlen import use_varlen_attention
from tasks.video.sampling import SamplingConfig, model_size

SECONDS, WIDTH, HEIGHT = 20, 1280, 720
LEAST_TIMES = 3.0
"""Times that the window-by-window tower should take."""
MOST_ERROR = 1.1
"""Times the error of the window-by-window tower in bfloat16; both are measured to float32."""

SHAPE_7B = {
    "depth": 32,
    "hidden_size": 1280,
    "intermediate_size": 3420,
    "num_heads": 16,
    "out_hidden_size": 3584,
    "fullatt_block_indexes": [7, 15, 23, 31],
}
SHAPE_DRY = {
    "depth": 2,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_heads": 2,
    "out_hidden_size": 32,
    "fullatt_block_indexes": [1],
}


def figures(dry: bool) -> Iterator[Figure]:
    """Seconds forward, and forward and backward, of both; and how far their outputs are apart."""
    import torch

    device, dtype = ("cpu", torch.float32) if dry else ("cuda", torch.bfloat16)
    tower = build_tower(SHAPE_DRY if dry else SHAPE_7B, device, dtype)
    grid = torch.tensor([[2, 12, 20]]) if dry else clip_grid(SECONDS, device)
    patches = torch.randn(int(grid.prod()), 3 * 2 * 14 * 14, device=device, dtype=dtype)
    yield told("patches of the clip", len(patches), f"{SECONDS} s of {WIDTH}x{HEIGHT}: {'x'.join(map(str, grid[0].tolist()))}")
    repeats, exact = 1 if dry else 5, _exact(tower, patches, grid)
    if not dry:
        torch.cuda.reset_peak_memory_stats()
    plain, expected = _timed(tower, patches, grid, repeats)
    yield from _seconds("sdpa, window by window", plain)
    use_varlen_attention(tower)
    varlen, output = _timed(tower, patches, grid, repeats)
    yield from _seconds("varlen, one call a layer", varlen)
    for pass_name in plain:
        yield at_least(f"times faster by varlen, {pass_name}", plain[pass_name] / varlen[pass_name], LEAST_TIMES, "median")
    errors = [float((one - exact).norm() / exact.norm()) for one in (expected, output)]
    yield told("error of sdpa's output, relative to float32", errors[0], "weights and patches as rounded")
    yield at_most(
        "error of varlen's output over that of sdpa's", errors[1] / max(errors[0], 1e-4), MOST_ERROR, "both to float32"
    )
    if not dry:
        yield told("peak memory, GiB", gib(torch.cuda.max_memory_allocated()), "forward and backward, nothing recomputed")


def build_tower(shape: dict[str, Any], device: str, dtype: Any) -> Any:
    """A vision tower with random weights."""
    import torch
    from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLVisionConfig
    from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VisionTransformerPretrainedModel

    config = Qwen2_5_VLVisionConfig(**shape)
    config._attn_implementation = "sdpa"
    torch.manual_seed(0)
    with torch.device(device):
        return Qwen2_5_VisionTransformerPretrainedModel(config).to(dtype)


def clip_grid(seconds: int, device: str) -> Any:
    """Patches of a clip that is sampled as the project samples, int64 (1, 3): frame pairs, rows, columns."""
    import torch

    sampling = SamplingConfig()
    frames = int(seconds * sampling.fps)
    width, height = model_size(WIDTH, HEIGHT, frames, sampling)
    return torch.tensor([[frames // 2, height // 14, width // 14]], device=device)


def _timed(tower: Any, patches: Any, grid: Any, repeats: int) -> tuple[dict[str, float], Any]:
    """Seconds by pass, and the output, float32."""
    import torch

    def forward() -> Any:
        return tower(patches, grid_thw=grid).pooler_output

    def both() -> None:
        forward().square().mean().backward()
        tower.zero_grad(set_to_none=True)

    passes: dict[str, Callable[[], Any]] = {"forward": torch.no_grad()(forward), "forward and backward": both}
    return {name: median_seconds(step, repeats) for name, step in passes.items()}, passes["forward"]().float()


def _exact(tower: Any, patches: Any, grid: Any) -> Any:
    """The output in float32, window by window."""
    import copy

    import torch

    with torch.no_grad():
        return copy.deepcopy(tower).float()(patches.float(), grid_thw=grid).pooler_output


def _seconds(how: str, seconds: dict[str, float]) -> Iterator[Figure]:
    for name, value in seconds.items():
        yield told(f"ms {name}", value * 1e3, how)
