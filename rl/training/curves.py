"""What a training's steps told, as something to look at: a line of blocks for a terminal, and curves as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from storage.files import replacing

CURVES = ("reward", "r_t", "r_s", "r_f", "kl", "loss", "grad_norm", "pearson", "answer_tokens", "tokens_per_s", "seconds")
"""Of what a step tells, and in this order."""
CURVES_FILE = "curves.svg"
"""In a run's folder."""
_BLOCKS = "▁▂▃▄▅▆▇█"
_WIDTH, _HEIGHT, _LEFT, _TOP = 640, 90, 110, 24


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
    """One panel a number, steps from left to right, its least and greatest value beside it."""
    panels = [(name, points) for name in CURVES if (points := series(steps, name))]
    height = _TOP + len(panels) * _HEIGHT
    drawn = "".join(_panel(name, points, _TOP + n * _HEIGHT) for n, (name, points) in enumerate(panels))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 20} {height}" font-family="sans-serif">'
    above = f'<rect width="100%" height="100%" fill="white"/><text x="8" y="16" font-size="13">{escape(title)}</text>'
    return f"{head}{above}{drawn}</svg>"


def _panel(name: str, points: Sequence[tuple[int, float]], top: int) -> str:
    low, high = min(value for _, value in points), max(value for _, value in points)
    first, last = points[0][0], points[-1][0]

    def place(step: int, value: float) -> str:
        x = _LEFT + _WIDTH * ((step - first) / (last - first) if last > first else 0.5)
        y = top + (_HEIGHT - 24) * (1 - ((value - low) / (high - low) if high > low else 0.5)) + 8
        return f"{x:.1f},{y:.1f}"

    line = " ".join(place(*point) for point in points)
    dots = "".join(f'<circle cx="{x}" cy="{y}" r="2" fill="#c33"/>' for x, y in (p.split(",") for p in line.split()))
    shown = dots if len(points) <= 60 else ""
    labels = "".join(
        f'<text x="8" y="{top + y}" font-size="{size}" fill="{colour}">{text}</text>'
        for y, size, colour, text in ((20, 12, "#222", escape(name)), (38, 10, "#777", f"{low:.4g} to {high:.4g}"))
    )
    frame = f'<rect x="{_LEFT}" y="{top + 4}" width="{_WIDTH}" height="{_HEIGHT - 16}" fill="none" stroke="#ddd"/>'
    return f'{frame}<polyline points="{line}" fill="none" stroke="#c33" stroke-width="1.5"/>{shown}{labels}'
