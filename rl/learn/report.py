"""What was learned, for people: a table, curves, and all numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from rl.learn.judge import Marks
from storage.folders.files import atomic_file
from tasks.preview.curves import Line, Panel, panels_svg

_ROWS = {
    "constant": "best constant answer",
    "before, blank": "after warm-up, blank frames",
    "before, drawn": "after warm-up, answers drawn at temperature 1",
    "before, seeing": "after warm-up",
    "after, blank": "after GRPO, blank frames",
    "after, drawn": "after GRPO, answers drawn at temperature 1",
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
        with atomic_file(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _page(runs: Sequence[Mapping[str, Any]]) -> str:
    seeds = sorted({run["seed"] for run in runs})
    clips = runs[0]["budget"]["evaluation_clips"]
    lines = [
        f"# Learning, measured\n\nMeans over seeds {', '.join(map(str, seeds))} (least to most), {clips} held-out clips each.\n"
    ]
    for form in dict.fromkeys(run["form"] for run in runs):
        some = [run for run in runs if run["form"] == form]
        lines += [f"## Answers with {form}\n", "| | object named | m_tIoU | m_vIoU | could be read |", "|---|---|---|---|---|"]
        lines += [f"| {label} | {' | '.join(_cells(some, key))} |" for key, label in _ROWS.items()]
        lines.append(f"\nA run took {round(fmean(run['seconds'] for run in some))} s by the clock.\n")
    return "\n".join([*lines, "![loss of the warm-up](warm_up.svg)\n", "![reward of GRPO](grpo.svg)", ""])


def _cells(runs: Iterable[Mapping[str, Any]], key: str) -> list[str]:
    rows = [run["marks"][key] for run in runs]
    columns = [[row[name] for row in rows] for name in Marks._fields]
    return [f"{fmean(c):.3f} ({min(c):.3f} to {max(c):.3f})" for c in columns]


def svg(curves: Sequence[tuple[str, Sequence[float]]], y: str) -> str:
    """Curves of one quantity by step, a colour a form, each smoothed by a running mean."""
    smooth = [(form, [fmean(v[max(0, n - _SMOOTH + 1) : n + 1]) for n in range(len(v))]) for form, v in curves]
    lines = [Line(form, list(enumerate(values))) for form, values in smooth]
    return panels_svg([Panel(y, lines)], format_x="step {:g}".format)
