"""Image features: each frame goes through the encoder once, as long as its features fit the budget.

A frame's features are needed twice if an object is found after it, on the way there and on the way back. They stay on the
model's device as far as the budget goes, then go to a file, and beyond that frame are encoded again on the way back.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tasks.tracking.base import Budget

if TYPE_CHECKING:
    import torch

FeatureStorage = Literal["held", "spilled", "encoded_again"]
"""Where features of a video went: stayed on the device, some to a file, some nowhere."""


@dataclass(frozen=True)
class Features:
    """One frame's features.

    Attributes:
        levels: from fine to coarse, (1, channels, height, width) each, in the precision of the model's run.
        positions: position encodings of the levels, of the same height and width; the same for all frames.
    """

    levels: list[torch.Tensor]
    positions: list[torch.Tensor]

    def expanded(self, model: Any, objects: int) -> tuple[list[torch.Tensor], list[torch.Tensor], list[tuple[int, int]]]:
        """As the model's step takes them: features and positions (tokens, objects, channels), and (height, width) of each.

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
    """Features of a video's frames, encoded when first asked for.

    Attributes:
        passes: frames that went through the encoder, each counted as often as it did.
        kept: where features went.
    """

    def __init__(self, encode: Callable[[int], Features], reused: range, budget: Budget) -> None:
        """Start empty; frames of `reused` will be asked for twice, first upwards and then downwards."""
        self._encode, self._reused, self._budget = encode, reused, budget
        self._resident: dict[int, list[torch.Tensor]] = {}
        self._file: _SpillFile | None = None
        self._current: tuple[int, Features] | None = None
        self._positions: list[torch.Tensor] = []
        self.passes = 0
        self.kept: FeatureStorage = "held"

    def at(self, index: int) -> Features:
        """Features of a frame; the last one asked for is at hand."""
        if self._current is None or self._current[0] != index:
            self._current = None  # before another is made: it may be the one too many
            self._current = index, self._lookup(index) or self._encoded(index)
        return self._current[1]

    def release(self, index: int) -> None:
        """A frame will not be asked for again."""
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
        if size * (len(self._resident) + 1) <= self._budget.features_mb * 2**20:
            self._resident[index] = levels
            return
        spilled = len(self._file) if self._file else 0
        if size * (spilled + 1) <= self._budget.spill_mb * 2**20:
            self._file = self._file or _SpillFile()
            self._file.put(index, levels)
            self.kept = "spilled" if self.kept == "held" else self.kept
        else:
            self.kept = "encoded_again"


class _SpillFile:
    """Features in a nameless temporary file: the system keeps it in free memory, and no longer than this process lives."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="stvg-features-")  # noqa: SIM115  it lives as long as this
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
        """The next level of the file, laid out in memory as it was: otherwise kernels may round otherwise."""
        import torch

        level = torch.empty(like.shape, dtype=like.dtype)
        self._file.readinto(level.view(torch.uint8).numpy().data)
        return torch.empty_like(like, device=self._device).copy_(level)
