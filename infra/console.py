"""What a person sees in the terminal: bars on standard error, tables on standard output."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from tasks.build import Progress as StageProgress
from tasks.estimate import Estimate
from tasks.plan import Build, StagePlan


class Bars:
    """A progress bar a stage. A context manager; `update` is a `tasks.build.OnProgress`."""

    def __init__(self, quiet: bool = False) -> None:
        times = (TimeElapsedColumn(), TimeRemainingColumn())
        counts = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        lost = TextColumn("{task.fields[lost]}")
        self._progress = Progress(*counts, *times, lost, console=Console(stderr=True), disable=quiet)
        self._bars: dict[str, TaskID] = {}
        self._lost: dict[str, int] = {}

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def update(self, progress: StageProgress) -> None:
        """Move the stage's bar, and say how many videos were lost."""
        stage = progress.stage
        self._lost[stage] = self._lost.get(stage, 0) + progress.outcome.lost
        if stage not in self._bars:
            self._bars[stage] = self._progress.add_task(stage, total=progress.total, lost="")
        lost = f"[red]{self._lost[stage]} lost[/red]" if self._lost[stage] else ""
        self._progress.update(self._bars[stage], completed=progress.ended, lost=lost)


def show_plan(build: Build, masks: StagePlan, frames: StagePlan, expected: Estimate) -> None:
    """Print a plan."""
    states = sorted({state for stage in (masks, frames) for state in stage.counts()})
    table = Table("stage", *states, title=str(build.folder))
    for stage in (masks, frames):
        table.add_row(stage.store.spec.key, *(str(stage.counts().get(state, 0)) for state in states))
    console = Console()
    console.print(table)
    for reason, count in build.benchmark.records.items():
        console.print(f"{reason}: {count}", highlight=False)
    console.print(str(expected), highlight=False)


def show_report(report: dict[str, Any]) -> None:
    """Print a report of `tasks.inspect`: scalars as lines, lists of rows as tables."""
    console = Console()
    for name, value in report.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            table = Table(*value[0], title=name, title_justify="left")
            for row in value:
                table.add_row(*(str(cell) for cell in row.values()))
            console.print(table)
        else:
            console.print(f"[bold]{name}[/bold]: {value}", highlight=False)
