"""Rotary positions of Qwen2.5-VL: text counts on, a frame pair stands at its time, rows and columns at theirs.

transformers 5.10 cuts seconds a frame pair to whole numbers, so that above 2 frames a second all of a video falls on one time,
and lets the text after a video begin before the video's last frames. This is the model's own arithmetic, as vLLM has it:
time = floor(pair * seconds a pair * tokens a second), and what follows begins after the largest position so far.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Grid = tuple[int, int, int]
"""Frame pairs, rows and columns of merged patches."""


def positions(
    tokens: NDArray[np.int64], media: Iterator[tuple[Grid, float]], placeholders: frozenset[int]
) -> NDArray[np.int64]:
    """Positions (3, length) of one sequence without padding: time, row, column.

    Args:
        tokens: int64 (length,).
        media: for each run of placeholders, its grid and the time step of a frame pair in positions.
        placeholders: token IDs that stand for pixels.
    """
    out = np.empty((3, len(tokens)), np.int64)
    is_media = np.isin(tokens, list(placeholders))
    at, start = 0, 0
    while at < len(tokens):
        if is_media[at]:
            grid, step = next(media, ((0, 0, 0), 0.0))
            if not grid[0]:
                raise ValueError("tokens stand for a video or an image that is not there")
            length = int(np.prod(grid))
            block = np.indices(grid)
            block[0] = np.floor(block[0] * step)
            out[:, at : at + length] = block.reshape(3, -1) + start
        else:
            length = int(np.argmax(is_media[at:])) or len(tokens) - at
            out[:, at : at + length] = np.arange(length) + start
        start = int(out[:, at : at + length].max()) + 1
        at += length
    return out


def add_positions(batch: dict[str, Any], config: Any) -> dict[str, Any]:
    """A processor's batch with `position_ids` (4, batch, length), text positions first, as transformers' model takes them."""
    import torch

    merge, per_second = config.vision_config.spatial_merge_size, config.vision_config.tokens_per_second
    videos = _media(batch.get("video_grid_thw"), merge, [per_second * float(s) for s in batch.get("second_per_grid_ts", ())])
    images = _media(batch.get("image_grid_thw"), merge, None)
    ids, mask = batch["input_ids"].numpy(), batch["attention_mask"].numpy().astype(bool)
    out = np.zeros((4, *ids.shape), np.int64)
    placeholders = frozenset((config.video_token_id, config.image_token_id))
    media = videos if "video_grid_thw" in batch else images
    for row, there in enumerate(mask):
        out[0, row, there] = np.arange(there.sum())
        out[1:, row, there] = positions(ids[row, there], media, placeholders)
    return {**batch, "position_ids": torch.from_numpy(out)}


def _media(grids: Any, merge: int, steps: list[float] | None) -> Iterator[tuple[Grid, float]]:
    for number, (t, h, w) in enumerate([] if grids is None else grids.tolist()):
        yield (t, h // merge, w // merge), 1.0 if steps is None else float(steps[number])
