"""A report as a Markdown table: `python -m bench.gpu.table docs/results/gpu/DATE-CARD.json`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bench.figures import Figure
from bench.gpu.machine import Machine
from bench.gpu.runner import Part, Report

HOLDS = {True: "yes", False: "no", None: ""}


def markdown(report: Report) -> str:
    """The machine, a table of figures, and what was not measured."""
    about = report.machine
    packages = ", ".join(f"{name} {version}" for name, version in about.packages.items())
    lines = [
        f"{about.date}, {about.gpu} ({about.gpu_gib:g} GiB), driver {about.driver}, Python {about.python}, {packages}.",
        "",
    ]
    lines += ["| part | figure | measured | bound | holds | how |", "|---|---|---|---|---|---|"]
    lines += [_row(part.name, figure) for part in report.parts for figure in part.figures]
    missing = [f"- {part.name}: {part.status}: {part.reason}" for part in report.parts if part.status != "complete"]
    return "\n".join([*lines, *(["", *missing] if missing else []), ""])


def _row(part: str, figure: Figure) -> str:
    cells = (part, figure.figure, f"{figure.measured:g}", figure.asked, HOLDS[figure.holds], figure.how)
    return f"| {' | '.join(cells)} |"


def read(path: Path) -> Report:
    """A report that was written to a file."""
    data = json.loads(path.read_text(encoding="utf-8"))
    parts = (part | {"figures": tuple(Figure(**figure) for figure in part["figures"])} for part in data["parts"])
    return Report(Machine(**data["machine"]), tuple(Part(**part) for part in parts))


if __name__ == "__main__":
    sys.stdout.write(markdown(read(Path(sys.argv[1]))))
