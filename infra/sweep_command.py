"""The command `stvg sweep`, and what it and a flow show of a sweep: its plan, its scores, what renders took."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from infra.rendering import render_seconds, rendered_clips, variant
from infra.sweeping import Ran
from infra.sweeps import Sweep
from rl.evaluation.report.scores import interval_text
from rl.evaluation.results import EvaluationResults
from rl.evaluation.sweep import Cell, Standing
from storage.reader import Dataset


def plan_rows(standings: Mapping[Cell, Standing], gpus: Mapping[Cell, int]) -> list[dict[str, Any]]:
    """A row a cell: what it is, what it lacks and how long that takes; hours count every GPU of the cell's engine."""
    return [
        {
            **cell._asdict(),
            "samples": found.samples,
            "to ask": found.left,
            "state": state_of(found),
            "hours": None if found.seconds is None else found.seconds * gpus[cell] / 3600,
        }
        for cell, found in standings.items()
    ]


def state_of(found: Standing) -> str:
    """How far an evaluation has come, in a phrase."""
    if found.why:
        return f"cannot run: {found.why}"
    if found.to_render:
        return "to render and ask"
    return "done" if found.done else "to ask" if found.left == found.samples else "begun"


def render_rows(sweep: Sweep) -> list[dict[str, Any]]:
    """A row a setting that is rendered: its dataset, clips with frames, and the seconds that one took, decoding included."""
    rows = []
    for base, setting in sweep.settings():
        shown = Dataset(variant(base, setting, sweep.markers[setting]).folder)
        clips = rendered_clips(shown)
        rows.append(
            {"rendered": shown.folder.name, "clips": clips, "s a clip": render_seconds(shown) / clips if clips else None}
        )
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


def _means(results: EvaluationResults) -> Iterator[dict[str, str]]:
    """Means by the first convention."""
    if results.first_scores is None:
        return
    for task, report in results.first_scores.reports.items():
        for name, score in report.metrics.items():
            mean = {"metric": name, "mean": f"{100 * score.mean:.1f}", "95 % interval": interval_text(score)}
            yield {"task": f"{task} ({report.convention})", **mean}
