"""The report: one self-contained HTML page of evaluations, the paper's tables and nights; of each, whatever there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rl.evaluation.history import HistoryRow
from rl.evaluation.paper_table import PaperTable
from rl.evaluation.report.collect import Evaluated, shown
from rl.evaluation.report.tables import by_benchmark
from storage.folders.folder import Folder
from tasks.preview.curves import Line, Panel, panels_svg
from tasks.preview.html import render_page

REPORT = "report.html"
MOST_SAMPLES = 60
_STRIP_BYTES = 4_000_000
"""JPEG bytes of all frames of a page before smaller copies stand in; base64 adds a third."""
_MOST_SERIES = 24
_MOST_TEXT = 4000
"""Characters of a thought or an answer."""

Told = Mapping[str, Any]


def write_report(
    folder: Folder,
    name: str,
    title: str,
    evaluations: Sequence[Evaluated],
    tables: Sequence[PaperTable] = (),
    history: Sequence[HistoryRow] = (),
    most: int = MOST_SAMPLES,
) -> str:
    """Write a report.

    Args:
        folder: where it goes.
        name: of its file.
        title: what it is of.
        evaluations: whose scores and samples are shown.
        tables: of the paper, with the measured numbers.
        history: rows of the regression history, oldest first.
        most: samples that are shown with frames; evaluations share them.

    Returns:
        Where it is: one HTML page that needs no other file and no network.
    """
    share = most // max(1, len(evaluations)) or 1
    shares = [share if n * share < most else 0 for n in range(len(evaluations))]
    page = render_page(
        Path(__file__).with_name("page.html.j2"),
        title=title,
        most_text=_MOST_TEXT,
        evaluations=[shown(e, n, _STRIP_BYTES // len(evaluations)) for e, n in zip(evaluations, shares, strict=True)],
        tables=[(table.title, by_benchmark(table.cells)) for table in tables],
        curves=panels_svg(panels(history), format_x=_day) if history else "",
        last_runs=list({row.series: row for row in history}.values()),
        hidden_series=max(0, len({row.series for row in history}) - _MOST_SERIES),
    )
    folder.write(name, page)
    return folder.uri(name)


def panels(history: Sequence[HistoryRow]) -> list[Panel]:
    """A curve of the mean over all runs for each series, at most `_MOST_SERIES`."""
    series: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for row in history:
        if row.mean is not None and row.metric is not None:
            points = series.setdefault(row.series, {}).setdefault(row.metric, [])
            points.append((row.at.timestamp(), row.mean))
    first = list(series.items())[:_MOST_SERIES]
    return [Panel(name, [Line(*line) for line in lines.items()]) for name, lines in first]


def _day(timestamp: float) -> str:
    return f"{datetime.fromtimestamp(timestamp, UTC):%Y-%m-%d %H:%M}"
