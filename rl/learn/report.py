"""What was learned, for people: a table, curves, and all numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from rl.learn.judge import Marks
from storage.files import replacing

_WIDTH, _HEIGHT, _MARGIN = 640, 240, 44
_COLOURS = {"markers": "#c22", "coordinates": "#26b"}
_ROWS = {
    "constant": "best constant answer",
    "before, blank": "after warm-up, blank frames",
    "before, seeing": "after warm-up",
    "after, blank": "after GRPO, blank frames",
    "after, seeing": "after GRPO",
    "ceiling": "the right answer, as written",
}
_SMOOTH = 20
"""Steps over which a curve is a mean."""


def write_report(runs: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Write `README.md`, `numbers.json`, `warm_up.svg` and `grpo.svg`."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = [{key: value for key, value in run.items() if key != "curves"} for run in runs]
    files = {"README.md": _page(runs), "numbers.json": json.dumps(numbers, indent=1) + "\n"}
    for curve, y in (("warm_up", "loss"), ("grpo", "reward")):
        files[f"{curve}.svg"] = svg([(run["form"], [step[y] for step in run["curves"][curve]]) for run in runs], y)
    for name, text in files.items():
        with replacing(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _page(runs: Sequence[Mapping[str, Any]]) -> str:
    seeds = sorted({run["seed"] for run in runs})
    clips = runs[0]["budget"]["held_out"]
    lines = [
        f"# Learning, measured\n\nMeans over seeds {', '.join(map(str, seeds))} (least to most), {clips} held-out clips each.\n"
    ]
    for form in dict.fromkeys(run["form"] for run in runs):
        some = [run for run in runs if run["form"] == form]
        lines += [f"## Answers with {form}\n", "| | object named | m_tIoU | m_vIoU |", "|---|---|---|---|"]
        lines += [f"| {told} | {' | '.join(_cells(some, key))} |" for key, told in _ROWS.items()]
        lines.append(f"\n{round(fmean(run['seconds'] for run in some))} s a run on one core.\n")
    return "\n".join([*lines, "![loss of the warm-up](warm_up.svg)\n", "![reward of GRPO](grpo.svg)", ""])


def _cells(runs: Iterable[Mapping[str, Any]], key: str) -> list[str]:
    rows = [run["marks"][key] for run in runs]
    columns = [[row[name] for row in rows] for name in Marks._fields]
    return [f"{fmean(c):.3f} ({min(c):.3f} to {max(c):.3f})" for c in columns]


def svg(curves: Sequence[tuple[str, Sequence[float]]], y: str) -> str:
    """Curves of one quantity by step, a colour a form, each smoothed by a running mean."""
    smooth = [(form, [fmean(v[max(0, n - _SMOOTH + 1) : n + 1]) for n in range(len(v))]) for form, v in curves]
    steps, top = max(len(v) for _, v in smooth), max(max(v) for _, v in smooth)
    low = min(0.0, *(min(v) for _, v in smooth))
    inner, rise = _WIDTH - 2 * _MARGIN, _HEIGHT - 2 * _MARGIN
    parts = []
    for form, values in smooth:
        dots = (
            f"{_MARGIN + inner * n / max(steps - 1, 1):.1f},{_HEIGHT - _MARGIN - rise * (v - low) / ((top - low) or 1):.1f}"
            for n, v in enumerate(values)
        )
        parts.append(f'<polyline fill="none" stroke="{_COLOURS[form]}" points="{" ".join(dots)}"/>')
    for at, form in enumerate(dict.fromkeys(form for form, _ in smooth)):
        parts.append(f'<text x="{_MARGIN + 110 * at}" y="20" fill="{_COLOURS[form]}">{form}</text>')
    base = _HEIGHT - _MARGIN
    parts.append(f'<path d="M{_MARGIN} {_MARGIN}V{base}H{_WIDTH - _MARGIN}" fill="none" stroke="#888"/>')
    parts.append(f'<text x="4" y="{_MARGIN}">{top:.2f}</text><text x="4" y="{base}">{low:.2f}</text>')
    parts.append(f'<text x="{_WIDTH - _MARGIN - 90}" y="{_HEIGHT - 16}">step {steps}</text>')
    parts.append(f'<text x="{_MARGIN}" y="{_HEIGHT - 16}">{y}</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="12">'
    return "\n".join([head, f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>', *parts, "</svg>", ""])
