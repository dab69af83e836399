"""Rotary positions of Qwen2.5-VL: consecutive for text; time, row and column for the patches of a video or image.

transformers 5.10 rounds the seconds of a frame pair down to whole numbers, so that above 2 frames a second a whole video gets
one time, and starts the text after a video before the video's last frames. This module follows the model's own arithmetic, as
vLLM implements it: time = floor(pair * seconds per pair * tokens per second), and what follows a video begins after the
largest position so far.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Grid = tuple[int, int, int]
"""Numbers of frame pairs, rows and columns of merged patches."""


def positions(
    tokens: NDArray[np.int64], media: Iterator[tuple[Grid, float]], placeholders: frozenset[int]
) -> NDArray[np.int64]:
    """Positions (3, length) of one sequence without padding: time, row, column; int64.

    Args:
        tokens: Token IDs, int64 (length,).
        media: For each run of placeholders, its grid and the time step of a frame pair, in positions.
        placeholders: IDs of the tokens that stand for patches.

    Raises:
        ValueError: The tokens have more runs of placeholders than `media` has grids.
    """
    out = np.empty((3, len(tokens)), np.int64)
    is_media = np.isin(tokens, list(placeholders))
    index, start = 0, 0
    while index < len(tokens):
        if is_media[index]:
            grid, step = next(media, ((0, 0, 0), 0.0))
            if not grid[0]:
                raise ValueError("the tokens refer to a video or an image that was not given")
            length = int(np.prod(grid))
            block = np.indices(grid)
            block[0] = np.floor(block[0] * step)
            out[:, index : index + length] = block.reshape(3, -1) + start
        else:
            length = int(np.argmax(is_media[index:])) or len(tokens) - index
            out[:, index : index + length] = np.arange(length) + start
        start = int(out[:, index : index + length].max()) + 1
        index += length
    return out


def add_positions(batch: Mapping[str, Tensor], config: Any) -> dict[str, Tensor]:
    """Add `position_ids` (4, batch, length), text positions first, to a batch, as transformers' model takes them.

    Args:
        batch: Output of the processor, padded on the left.
        config: Configuration of the model, as transformers loads it.
    """
    import torch

    merge, per_second = config.vision_config.spatial_merge_size, config.vision_config.tokens_per_second
    videos = _media(batch.get("video_grid_thw"), merge, [per_second * float(s) for s in batch.get("second_per_grid_ts", ())])
    images = _media(batch.get("image_grid_thw"), merge, None)
    ids, mask = batch["input_ids"].numpy(), batch["attention_mask"].numpy().astype(bool)
    out = np.zeros((4, *ids.shape), np.int64)
    placeholders = frozenset((config.video_token_id, config.image_token_id))
    media = videos if "video_grid_thw" in batch else images
    for row, attended in enumerate(mask):
        out[0, row, attended] = np.arange(attended.sum())
        out[1:, row, attended] = positions(ids[row, attended], media, placeholders)
    return {**batch, "position_ids": torch.from_numpy(out)}


def _media(grids: Any, merge: int, steps: list[float] | None) -> Iterator[tuple[Grid, float]]:
    for number, (t, h, w) in enumerate([] if grids is None else grids.tolist()):
        yield (t, h // merge, w // merge), 1.0 if steps is None else float(steps[number])
