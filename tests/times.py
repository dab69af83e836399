"""`pytest --times FILE`: where a run's time goes, by folder and by file, as a Markdown table."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

Row = tuple[str, int, float, float]
"""Place, tests, seconds by the clock, seconds of CPU."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--times", type=Path, metavar="FILE", help="write the seconds of each folder and file of tests to FILE")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--times"):
        config.pluginmanager.register(_Times(config.getoption("--times")))


class _Times:
    """Adds up the phases of each test; CPU is that of the test's process and of those that it started and that have ended."""

    def __init__(self, file: Path) -> None:
        self._file, self._spent = file.absolute(), _cpu_s()
        self._tests, self._wall, self._cpu = Counter[str](), defaultdict[str, float](float), defaultdict[str, float](float)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Iterator[None]:
        report: Any = yield
        before, self._spent = self._spent, _cpu_s()
        report.cpu_s = self._spent - before
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        file = report.nodeid.partition("::")[0]
        self._tests[file] += report.when == "setup"
        self._wall[file] += report.duration
        self._cpu[file] += getattr(report, "cpu_s", 0.0)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workerinput"):
            return
        files = [(file, n, self._wall[file], self._cpu[file]) for file, n in self._tests.items()]
        self._file.write_text("\n\n".join(map(_table, (list(_folders(files)), files))) + "\n", "utf-8")


def _cpu_s() -> float:
    return sum(os.times()[:4])


def _folders(files: Iterable[Row]) -> Iterator[Row]:
    by_folder: dict[str, list[Row]] = defaultdict(list)
    for row in files:
        by_folder[str(Path(row[0]).parent)].append(row)
        by_folder["all"].append(row)
    for folder, rows in by_folder.items():
        yield folder, sum(r[1] for r in rows), sum(r[2] for r in rows), sum(r[3] for r in rows)


def _table(rows: list[Row]) -> str:
    lines = ["| place | tests | seconds | CPU seconds |", "|---|--:|--:|--:|"]
    for place, tests, wall, cpu in sorted(rows, key=lambda row: -row[2]):
        lines.append(f"| {place} | {tests} | {wall:.1f} | {cpu:.1f} |")
    return "\n".join(lines)
