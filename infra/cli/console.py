"""What a person sees in the terminal: bars on standard error, tables on standard output.

Names and sentences come from files: they are printed as they are, without the colours or commands that may stand in them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from storage.common.errors import StvgError
from storage.progress import Progress as StageProgress


def plain(stderr: bool = False) -> Console:
    """A console that takes nothing in a text for markup."""
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def printable(value: object) -> str:
    """A value on one line, control characters spelled out: a name in a file cannot steer the terminal."""
    line = " ".join(str(value).split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


class StoppedError(StvgError):
    """The person at the keyboard stopped the command."""

    exit_code = 130


@contextmanager
def stoppable() -> Iterator[None]:
    """Say of an interrupted block that it can be gone on with.

    Raises:
        StoppedError: it was interrupted.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise StoppedError("interrupted; run the same command again to go on where it stopped") from None


class Bars:
    """A progress bar a stage, shown with the first count. A context manager; `update` is a `tasks.build.run.OnProgress`."""

    def __init__(self, quiet: bool = False) -> None:
        times = (TimeElapsedColumn(), TimeRemainingColumn())
        counts = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        lost = TextColumn("{task.fields[lost]}")
        self._progress = Progress(*counts, *times, lost, console=Console(stderr=True), disable=quiet)
        self._bars: dict[str, TaskID] = {}

    def __enter__(self) -> Bars:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bars:
            self._progress.stop()

    def update(self, progress: StageProgress) -> None:
        """Move the stage's bar, and say how many videos were lost."""
        self.count(progress.stage, progress.completed, progress.total, progress.lost)

    def count(self, name: str, ended: int, total: int, lost: int = 0) -> None:
        """Move the bar of this name, which appears with its first count."""
        if name not in self._bars:
            self._progress.start()
            self._bars[name] = self._progress.add_task(name, total=total, lost="")
        self._progress.update(self._bars[name], completed=ended, lost=f"[red]{lost} lost[/red]" if lost else "")


class Steps:
    """One line a step, with the seconds it took; a context manager. `update` is a `tasks.build.run.OnProgress`."""

    def __init__(self, quiet: bool = False) -> None:
        self._console = Console(stderr=True, markup=False, highlight=False, quiet=quiet)
        self._status = self._console.status("")
        self._step, self._since = "", 0.0

    def __enter__(self) -> Steps:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._status.stop()

    def update(self, progress: StageProgress) -> None:
        """The last step has ended, and this one begins; the last of all ends with the count at its total."""
        now = time.monotonic()
        if self._step:
            self._console.print(f"{self._step:<8} {now - self._since:6.1f} s")
        self._step, self._since = progress.stage, now
        self._status.update(f"{progress.stage} ({progress.completed + 1} of {progress.total})")
        self._status.start()


def show_report(report: dict[str, Any]) -> None:
    """Print a report of `tasks.preview.inspect`: scalars as lines, lists of rows as tables."""
    console = plain()
    for name, value in report.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            table = Table(*value[0], title=name, title_justify="left")
            for row in value:
                table.add_row(*map(printable, row.values()))
            console.print(table)
        else:
            console.print(Text.assemble((name, "bold"), f": {printable(value)}"))


def show_rows(rows: Sequence[Mapping[str, object]]) -> None:
    """Print rows of equal columns as a table; nothing where there are none."""
    if not rows:
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*map(printable, row.values()))
    plain().print(table)
