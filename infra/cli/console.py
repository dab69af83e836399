"""Output to the terminal: progress on standard error, tables on standard output.

Names and sentences from files are printed as text: markup and control characters in them have no effect.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from storage.common.errors import StvgError
from storage.progress import Progress as StageProgress

if TYPE_CHECKING:
    from pydantic import JsonValue
    from rich.progress import TaskID


def plain(stderr: bool = False) -> Console:
    """A console that prints markup as text.

    Args:
        stderr: whether it prints to standard error.
    """
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def printable(value: object) -> str:
    """A value on one line with control characters escaped: a name in a file cannot control the terminal."""
    line = " ".join(str(value).split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


class StoppedError(StvgError):
    """The command was interrupted from the keyboard."""

    exit_code = 130


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn an interrupt of the block into an error that says how to continue; also a decorator.

    Raises:
        StoppedError: the block was interrupted.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise StoppedError("interrupted; run the same command again to go on where it stopped") from None


class Bars:
    """Progress bars, one a stage, each visible from its first progress on; a context manager.

    Args:
        quiet: whether nothing is printed.
    """

    def __init__(self, quiet: bool = False) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

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
        """Move the bar of the stage, and print the number of lost items; a `storage.progress.OnProgress`."""
        self.count(progress.stage, progress.completed, progress.total, progress.lost)

    def count(self, name: str, completed: int, total: int, lost: int = 0) -> None:
        """Move a bar.

        Args:
            name: of the bar, printed before it.
            completed: number of completed items, lost ones included.
            total: number of all items.
            lost: number of lost items.
        """
        if name not in self._bars:
            self._progress.start()
            self._bars[name] = self._progress.add_task(name, total=total, lost="")
        self._progress.update(self._bars[name], completed=completed, lost=f"[red]{lost} lost[/red]" if lost else "")


class Steps:
    """Steps of a command, each printed with its duration when it ends; a context manager.

    Args:
        quiet: whether nothing is printed.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._console = Console(stderr=True, markup=False, highlight=False, quiet=quiet)
        self._status = self._console.status("")
        self._step, self._start_s = "", 0.0

    def __enter__(self) -> Steps:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._status.stop()

    def update(self, progress: StageProgress) -> None:
        """End the previous step and begin the one that the progress names; a `storage.progress.OnProgress`."""
        now = time.monotonic()
        if self._step:
            self._console.print(f"{self._step:<8} {now - self._start_s:6.1f} s")
        self._step, self._start_s = progress.stage, now
        self._status.update(f"{progress.stage} ({progress.completed + 1} of {progress.total})")
        self._status.start()


def show_report(report: Mapping[str, JsonValue]) -> None:
    """Print the fields of a report.

    Args:
        report: field -> a value, printed as a line, or rows of equal columns, printed as a table.
    """
    console = plain()
    for name, value in report.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            table = Table(*value[0], title=name, title_justify="left")
            for row in value:
                assert isinstance(row, dict)
                table.add_row(*map(printable, row.values()))
            console.print(table)
        else:
            console.print(Text.assemble((name, "bold"), f": {printable(value)}"))


def show_rows(rows: Sequence[Mapping[str, object]]) -> None:
    """Print rows as a table; nothing without rows.

    Args:
        rows: column -> value; every row has the columns of the first.
    """
    if not rows:
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*map(printable, row.values()))
    plain().print(table)
