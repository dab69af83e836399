"""`stvg sweep`: show what a sweep has and lacks, or run what it lacks and print every cell's scores."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Annotated, Any, NamedTuple

import typer
from rich.table import Table

from infra.asking import run_evaluation
from infra.console import Bars, plain, printable, stoppable
from infra.forms.evaluation import EvaluateParameters
from infra.rendering import render, render_seconds, variant
from infra.results import AsJson
from infra.sweeps import Sweep, SweepParameters
from rl.engines.base import EngineError
from rl.engines.build import identity_of
from rl.evaluate import Evaluation
from rl.results import kept_results
from rl.sweep import Cell, Standing
from storage.reader import Dataset
from tasks.build import FanOut, OnProgress

Ask = Callable[[EvaluateParameters, Evaluation], dict[str, Any]]
"""Runs an evaluation; returns its results."""


class Ran(NamedTuple):
    """A cell with its results, or why it has none; `asked` tells whether a model was opened for it."""

    cell: Cell
    results: dict[str, Any] | None
    why: str = ""
    asked: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {**self.cell._asdict(), "results": self.results, "why": self.why, "asked": self.asked}


def ask_quietly(parameters: EvaluateParameters, evaluation: Evaluation) -> dict[str, Any]:
    """Run an evaluation without telling of progress."""
    return run_evaluation(parameters, evaluation, lambda *_: None)


def render_missing(sweep: Sweep, on_progress: OnProgress, fan_out: FanOut | None = None) -> int:
    """Render the datasets whose markers are not shown yet; returns how many.

    Raises:
        DatasetError, SweepError, BudgetError: as `infra.rendering.render` does.
    """
    missing = sweep.to_render()
    for base, setting in missing:
        render(base, setting, sweep.asked.markers[setting], on_progress, fan_out)
    return len(missing)


def run_cells(sweep: Sweep, standings: Mapping[Cell, Standing], at_once: int, ask: Ask = ask_quietly) -> Iterator[Ran]:
    """Run each cell, some at once, in the order of the sweep; one that has its results opens no model.

    A cell whose engine fails has a reason in place of results, and the others go on.

    Args:
        sweep: whose datasets are rendered by now.
        standings: how far each cell had come; only what was still to be rendered is looked at again.
        at_once: cells under way together, each with an engine of its own.
        ask: runs an evaluation.
    """
    found = {cell: sweep.standing(cell) if was.to_render else was for cell, was in standings.items()}
    # Cells that come to the same evaluation wait for each other, and the second has the results of the first.
    locks = {one.key: Lock() for one in found.values()}
    kept: dict[str, dict[str, Any]] = {}

    def run(cell: Cell) -> Ran:
        with locks[key := found[cell].key]:
            if key in kept:
                return Ran(cell, kept[key])
            ran = run_cell(sweep, cell, found[cell], ask)
            if ran.results is not None:
                kept[key] = ran.results
            return ran

    if at_once == 1:
        yield from map(run, found)
        return
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="cell")
    try:
        yield from pool.map(run, found)
    finally:
        pool.shutdown(cancel_futures=True)


def run_cell(sweep: Sweep, cell: Cell, found: Standing, ask: Ask = ask_quietly) -> Ran:
    """The results of a cell that has come so far: as they are kept, or from a run of its evaluation."""
    if found.why:
        return Ran(cell, None, found.why)
    parameters, evaluation = sweep.parameters(cell), sweep.evaluation(cell)
    if found.done:
        identity = identity_of(parameters.engine_config(), evaluation.model, evaluation.decoding)
        return Ran(cell, kept_results(evaluation.dataset, evaluation.store_of(identity), sweep.conventions(cell)))
    try:
        return Ran(cell, ask(parameters, evaluation), asked=True)
    except EngineError as error:
        return Ran(cell, None, str(error), asked=True)


def plan_rows(standings: Mapping[Cell, Standing], gpus: Mapping[Cell, int]) -> list[dict[str, Any]]:
    """A row a cell: what it is, what it lacks and how long that takes; hours count every GPU of the cell's engine."""
    return [
        {
            **cell._asdict(),
            "samples": found.samples,
            "to ask": found.left,
            "state": _state(found),
            "hours": None if found.seconds is None else found.seconds * gpus[cell] / 3600,
        }
        for cell, found in standings.items()
    ]


def _state(found: Standing) -> str:
    if found.why:
        return f"cannot run: {found.why}"
    if found.to_render:
        return "to render and ask"
    return "done" if found.done else "to ask" if found.left == found.samples else "begun"


def render_rows(sweep: Sweep) -> list[dict[str, Any]]:
    """A row a setting that is rendered: its dataset, the clips in it and the seconds that one took, the source's decoding included."""
    rows = []
    for base, setting in sweep.settings():
        shown = Dataset(variant(base, setting, sweep.asked.markers[setting]).folder)
        clips, seconds = shown.table("clips", ["clip_id"]).num_rows, render_seconds(shown)
        rows.append({"rendered": shown.folder.name, "clips": clips, "s a clip": seconds / clips if clips else None})
    return rows


def score_rows(ran: Iterable[Ran]) -> list[dict[str, str]]:
    """A row a cell, task and mean, per cent, with ID repair where there are boxes; for a cell without results, why."""
    rows = []
    for one in ran:
        about = {"cell": "/".join(filter(None, one.cell))}
        means = list(_means(one.results)) if one.results else []
        absent = {"task": "", "metric": "", "mean": "", "95 % interval": one.why or "not scored"}
        rows += [{**about, **mean} for mean in means or [absent]]
    return rows


def _means(results: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Means by the first convention."""
    for scores in list(results["scores"].values())[:1]:
        for task, report in {**scores["results"], **scores["repaired"]}.items():
            for name, (low, high) in report["intervals"].items():
                kind = f"{task} ({report['convention']})"
                mean, interval = f"{100 * report[name]:.1f}", f"{100 * low:.1f} to {100 * high:.1f}"
                yield {"task": kind, "metric": name, "mean": mean, "95 % interval": interval}


def sweep_command(
    parameters: SweepParameters,
    plan: Annotated[bool, typer.Option("--plan", help="Only show which cells there are, and what each lacks.")] = False,
    as_json: AsJson = False,
) -> None:
    """Plan or run a sweep, and print it."""
    sweep = parameters.sweep()
    standings = sweep.standings()  # what cannot be asked as it stands is found before anything is rendered
    if plan:
        rows = plan_rows(standings, {cell: sweep.parameters(cell).gpus for cell in sweep.cells})
        print(json.dumps({"cells": rows})) if as_json else _show(rows, "unknown")
        return
    ran: list[Ran] = []
    with stoppable(), Bars(as_json) as bars:
        render_missing(sweep, bars.update)
        for one in run_cells(sweep, standings, parameters.at_once):
            ran.append(one)
            bars.count("cells", len(ran), len(sweep.cells), sum(r.results is None for r in ran))
    if as_json:
        print(json.dumps({"cells": [one.as_dict() for one in ran], "renders": render_rows(sweep)}))
    else:
        _show(score_rows(ran), "")
        _show(render_rows(sweep), "")
        plain().print(f"{sum(one.asked for one in ran)} of {len(ran)} cells were asked")
    if any(one.asked and one.results is None for one in ran):
        raise typer.Exit(1)


def _show(rows: list[dict[str, Any]], absent: str) -> None:
    if not rows:
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(_told(value, absent) for value in row.values()))
    plain().print(table)


def _told(value: Any, absent: str) -> str:
    return absent if value is None else f"{value:.2f}" if isinstance(value, float) else printable(value)
