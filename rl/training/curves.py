"""What a training's steps told, as something to look at: a line of blocks for a terminal, and curves as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rl.curves import drawn
from storage.folders.files import replacing

CURVES = ("reward", "r_t", "r_s", "r_f", "kl", "loss", "grad_norm", "pearson", "answer_tokens", "tokens_per_s", "seconds")
"""Of what a step tells, and in this order."""
CURVES_FILE = "curves.svg"
"""In a run's folder."""
_BLOCKS = "▁▂▃▄▅▆▇█"


def series(steps: Sequence[Mapping[str, Any]], name: str) -> list[tuple[int, float]]:
    """(step, value) of one number, where it was told."""
    return [(step["step"], float(step[name])) for step in steps if name in step]


def spark(values: Sequence[float], most: int = 40) -> str:
    """Values as blocks, at most so many: each is the mean of those it stands for."""
    if not values:
        return ""
    count = min(most, len(values))
    parts = [values[i * len(values) // count : (i + 1) * len(values) // count] for i in range(count)]
    means = [sum(part) / len(part) for part in parts]
    low, spread = min(means), max(means) - min(means)
    return "".join(_BLOCKS[round((value - low) / spread * (len(_BLOCKS) - 1)) if spread else 0] for value in means)


def summary(steps: Sequence[Mapping[str, Any]]) -> list[tuple[str, float, float, str]]:
    """(name, first value, last value, line of blocks) of each number that was told."""
    told = [(name, [value for _, value in series(steps, name)]) for name in CURVES]
    return [(name, values[0], values[-1], spark(values)) for name, values in told if values]


def draw_curves(folder: Path, steps: Sequence[Mapping[str, Any]]) -> Path:
    """Write the curves into a run's folder, whole or not at all."""
    picture = folder / CURVES_FILE
    with replacing(picture, durable=False) as temporary:
        temporary.write_text(curves_svg(steps, folder.name), encoding="utf-8")
    return picture


def curves_svg(steps: Sequence[Mapping[str, Any]], title: str) -> str:
    """One panel a number, steps from left to right."""
    return drawn([(name, [("", points)]) for name in CURVES if (points := series(steps, name))], title)
