"""Curves of a training's metrics: blocks for a terminal, and panels as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rl.verl.metrics import StepMetrics
from storage.folders.files import atomic_file
from tasks.preview.curves import Line, Panel, panels_svg

CURVES = ("reward", "r_t", "r_s", "r_f", "kl", "loss", "grad_norm", "pearson", "response_tokens", "tokens_per_s", "seconds")
"""Fields of `StepMetrics` that are shown, in this order."""
CURVES_FILE = "curves.svg"
"""In a training's folder."""
_BLOCKS = "▁▂▃▄▅▆▇█"


class Curve(NamedTuple):
    """One metric over all steps.

    Attributes:
        name: field of `StepMetrics`.
        first, last: its first and last value.
        blocks: its course as a line of blocks.
    """

    name: str
    first: float
    last: float
    blocks: str


def series(steps: Sequence[StepMetrics], name: str) -> list[tuple[int, float]]:
    """(step, value) of one metric, where it has a value.

    Args:
        steps: metrics of the steps, in order.
        name: field of `StepMetrics`.
    """
    return [(metrics.step, float(value)) for metrics in steps if (value := getattr(metrics, name)) is not None]


def spark(values: Sequence[float], width: int = 40) -> str:
    """A line of blocks.

    Args:
        values: in order; empty gives an empty line.
        width: most blocks; each is the mean of its share of the values.
    """
    if not values:
        return ""
    count = min(width, len(values))
    parts = [values[i * len(values) // count : (i + 1) * len(values) // count] for i in range(count)]
    means = [sum(part) / len(part) for part in parts]
    low, spread = min(means), max(means) - min(means)
    return "".join(_BLOCKS[round((value - low) / spread * (len(_BLOCKS) - 1)) if spread else 0] for value in means)


def curves(steps: Sequence[StepMetrics]) -> list[Curve]:
    """The metrics that have values."""
    every = [(name, [value for _, value in series(steps, name)]) for name in CURVES]
    return [Curve(name, values[0], values[-1], spark(values)) for name, values in every if values]


def draw_curves(folder: Path, steps: Sequence[StepMetrics]) -> Path:
    """Write the curves into a training's folder, atomically.

    Args:
        folder: of the training; its name is the title.
        steps: metrics of the steps, in order.
    """
    picture = folder / CURVES_FILE
    with atomic_file(picture, durable=False) as temporary:
        temporary.write_text(curves_svg(steps, folder.name), encoding="utf-8")
    return picture


def curves_svg(steps: Sequence[StepMetrics], title: str) -> str:
    """SVG with one panel per metric, steps from left to right.

    Args:
        steps: metrics of the steps, in order.
        title: text above the panels; it is escaped.
    """
    return panels_svg([Panel(name, [Line("", points)]) for name in CURVES if (points := series(steps, name))], title)
