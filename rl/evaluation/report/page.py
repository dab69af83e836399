"""The report page: evaluations, tables of the paper and regression runs in one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rl.evaluation.history import HistoryRow
from rl.evaluation.paper_table import PaperTable
from rl.evaluation.report.collect import ReportedEvaluation, evaluation_section
from rl.evaluation.report.tables import by_benchmark
from storage.folders.folder import Folder
from tasks.preview.curves import Line, Panel, panels_svg
from tasks.preview.html import render_page

REPORT = "report.html"
MAX_SAMPLES = 60
_STRIP_BYTES = 4_000_000
"""Maximum JPEG bytes of all frames of a page, beyond which smaller copies are shown; base64 adds a third."""
_MAX_SERIES = 24
_MAX_TEXT = 4000
"""Maximum characters of a thought or an answer."""


def write_report(
    folder: Folder,
    name: str,
    title: str,
    evaluations: Sequence[ReportedEvaluation],
    tables: Sequence[PaperTable] = (),
    history: Sequence[HistoryRow] = (),
    limit: int = MAX_SAMPLES,
) -> str:
    """Write a report.

    Args:
        folder: of the file.
        name: of the file.
        title: heading of the page.
        evaluations: with their scores and samples.
        tables: of the paper, with the measured numbers.
        history: rows of the regression history, oldest first.
        limit: maximum number of samples that are shown with frames, over all evaluations.

    Returns:
        URI of the file, which needs no other file and no network.
    """
    share = limit // max(1, len(evaluations)) or 1
    shares = [share if n * share < limit else 0 for n in range(len(evaluations))]
    page = render_page(
        Path(__file__).with_name("page.html.j2"),
        title=title,
        most_text=_MAX_TEXT,
        evaluations=[
            evaluation_section(one, share, _STRIP_BYTES // len(evaluations))
            for one, share in zip(evaluations, shares, strict=True)
        ],
        tables=[(table.title, by_benchmark(table.cells)) for table in tables],
        curves=panels_svg(panels(history), format_x=_day) if history else "",
        last_runs=list({row.series: row for row in history}.values()),
        hidden_series=max(0, len({row.series for row in history}) - _MAX_SERIES),
    )
    folder.write(name, page)
    return folder.uri(name)


def panels(history: Sequence[HistoryRow]) -> list[Panel]:
    """A curve of the mean over all runs for each series, at most `_MAX_SERIES`."""
    series: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for row in history:
        if row.mean is not None and row.metric is not None:
            points = series.setdefault(row.series, {}).setdefault(row.metric, [])
            points.append((row.at.timestamp(), row.mean))
    first = list(series.items())[:_MAX_SERIES]
    return [Panel(name, [Line(*line) for line in lines.items()]) for name, lines in first]


def _day(timestamp: float) -> str:
    return f"{datetime.fromtimestamp(timestamp, UTC):%Y-%m-%d %H:%M}"
