"""Scores as text: rows of tables, in per cent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rl.evaluation.cells import CellPlan, CellResult, RenderTiming
from rl.evaluation.results import EvaluationResults
from tasks.metrics.report import MetricMean


def interval_text(score: MetricMean, decimals: int = 1) -> str:
    """The confidence interval of a mean in per cent; empty where there is none.

    Args:
        score: a mean in [0, 1].
        decimals: digits after the point.
    """
    if score.interval is None:
        return ""
    low, high = score.interval
    return f"{100 * low:.{decimals}f} to {100 * high:.{decimals}f}"


def score_table(results: EvaluationResults) -> list[dict[str, str]]:
    """A row for each convention and task, with and without ID repair: each mean in per cent with its interval."""
    rows = []
    for convention, scores in results.scores.items():
        for reports, repair in ((scores.results, "without"), (scores.repaired, "with")):
            for task, report in reports.items():
                means = {name: f"{100 * score.mean:.1f} ({interval_text(score)})" for name, score in report.metrics.items()}
                rows.append({"convention": convention, "task": str(task), "ID repair": repair, **means})
    return rows


def cell_plan_rows(plans: Iterable[CellPlan], unknown: str = "unknown") -> list[dict[str, str]]:
    """A row for each cell of a sweep: its state, and the samples and GPU hours that remain.

    Args:
        plans: one a cell.
        unknown: text for a number that is not known.
    """
    return [
        {
            "cell": plan.cell.name,
            "samples": unknown if plan.samples is None else str(plan.samples),
            "to ask": unknown if plan.remaining is None else str(plan.remaining),
            "state": f"{plan.state}: {plan.reason}" if plan.reason else str(plan.state),
            "GPU hours": unknown if plan.gpu_hours is None else f"{plan.gpu_hours:.2f}",
        }
        for plan in plans
    ]


def cell_table(cells: Iterable[CellResult]) -> list[dict[str, str]]:
    """A row for each cell, task and mean in per cent, with ID repair where there are boxes; one with the reason without."""
    rows = []
    for result in cells:
        means = list(_means(result.results)) if result.results else []
        absent = {"task": "", "metric": "", "mean": "", "95 % interval": result.reason or "not scored"}
        rows += [{"cell": result.cell.name, **mean} for mean in means or [absent]]
    return rows


def _means(results: EvaluationResults) -> Iterator[dict[str, str]]:
    """Means by the first convention."""
    if results.first_scores is None:
        return
    for task, report in results.first_scores.reports.items():
        for name, score in report.metrics.items():
            mean = {"metric": name, "mean": f"{100 * score.mean:.1f}", "95 % interval": interval_text(score)}
            yield {"task": f"{task} ({report.convention})", **mean}


def render_table(renders: Iterable[RenderTiming]) -> list[dict[str, str]]:
    """A row for each dataset of a marker setting, with the seconds to render a clip."""
    return [
        {
            "rendered": one.dataset,
            "clips": str(one.clips),
            "s a clip": "" if one.seconds_per_clip is None else f"{one.seconds_per_clip:.2f}",
        }
        for one in renders
    ]
