"""Image features: each frame is encoded once, as long as the features fit in the budget.

Features are needed again in the backward pass for frames before the last discovery. They stay on the model's device up to the
budget, then go to a file; frames beyond that are encoded again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tasks.tracking.config import MemoryConfig

if TYPE_CHECKING:
    import torch

FeatureStorage = Literal["held", "spilled", "encoded_again"]
"""Storage of the features of a video: all on the device, some in a file, or some encoded again."""


@dataclass(frozen=True)
class Features:
    """Features of one frame.

    Attributes:
        levels: feature maps from fine to coarse, (1, channels, height, width) each, in the precision of the model.
        positions: position encodings of the levels, of the same height and width; the same for all frames.
    """

    levels: list[torch.Tensor]
    positions: list[torch.Tensor]

    def expanded(self, model: Any, objects: int) -> tuple[list[torch.Tensor], list[torch.Tensor], list[tuple[int, int]]]:
        """Arguments of the model's step: features and positions (tokens, objects, channels), and (height, width) of each level.

        Args:
            model: the SAM2 model.
            objects: number of objects in the batch.
        """
        every = {"backbone_fpn": self.levels, "vision_pos_enc": self.positions}
        _, vision, positions, sizes = model._prepare_backbone_features(
            {name: [level.expand(objects, -1, -1, -1) for level in levels] for name, levels in every.items()}
        )
        return vision, positions, sizes


class FeatureStore:
    """Features of the frames of a video, encoded on first use.

    Attributes:
        passes: frames that went through the encoder, counted once per pass.
        kept: storage of the features.
    """

    def __init__(self, encode: Callable[[int], Features], reused: range, memory: MemoryConfig) -> None:
        """Create an empty store; frames of `reused` are requested twice, first ascending and then descending."""
        self._encode, self._reused, self._memory = encode, reused, memory
        self._resident: dict[int, list[torch.Tensor]] = {}
        self._file: _SpillFile | None = None
        self._current: tuple[int, Features] | None = None
        self._positions: list[torch.Tensor] = []
        self.passes = 0
        self.kept: FeatureStorage = "held"

    def get(self, index: int) -> Features:
        """Features of a frame; those of the last requested frame are cached."""
        if self._current is None or self._current[0] != index:
            self._current = None  # released before the next is encoded, to save memory
            self._current = index, self._lookup(index) or self._encoded(index)
        return self._current[1]

    def release(self, index: int) -> None:
        """Drop the features of a frame that is not needed any more."""
        self._resident.pop(index, None)

    def _lookup(self, index: int) -> Features | None:
        if index in self._resident:
            return Features(self._resident[index], self._positions)
        if self._file is not None and index in self._file:
            return Features(self._file.get(index), self._positions)
        return None

    def _encoded(self, index: int) -> Features:
        features = self._encode(index)
        self.passes += 1
        self._positions = features.positions
        if index in self._reused:
            self._keep(index, features.levels)
        return features

    def _keep(self, index: int, levels: list[torch.Tensor]) -> None:
        size = sum(level.nbytes for level in levels)
        if size * (len(self._resident) + 1) <= self._memory.features_mb * 2**20:
            self._resident[index] = levels
            return
        spilled = len(self._file) if self._file else 0
        if size * (spilled + 1) <= self._memory.spill_mb * 2**20:
            self._file = self._file or _SpillFile()
            self._file.put(index, levels)
            self.kept = "spilled" if self.kept == "held" else self.kept
        else:
            self.kept = "encoded_again"


class _SpillFile:
    """Features in an unnamed temporary file, which the system may keep in memory and removes with the process."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="stvg-features-")  # noqa: SIM115  closed with this object
        self._places: dict[int, int] = {}
        self._like: Sequence[torch.Tensor] = ()

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, index: int) -> bool:
        return index in self._places

    def put(self, index: int, levels: Sequence[torch.Tensor]) -> None:
        import torch

        self._like = [torch.empty_like(level, device="meta") for level in levels]
        self._device = levels[0].device
        self._places[index] = self._file.seek(0, 2)
        for level in levels:
            self._file.write(level.contiguous().view(torch.uint8).cpu().numpy().data)

    def get(self, index: int) -> list[torch.Tensor]:
        self._file.seek(self._places[index])
        return [self._read(like) for like in self._like]

    def _read(self, like: torch.Tensor) -> torch.Tensor:
        """Next level of the file with its original memory layout, since kernels may round differently otherwise."""
        import torch

        level = torch.empty(like.shape, dtype=like.dtype)
        self._file.readinto(level.view(torch.uint8).numpy().data)
        return torch.empty_like(like, device=self._device).copy_(level)
