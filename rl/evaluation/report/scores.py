"""Scores as text: rows of tables, in per cent."""

from __future__ import annotations

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
