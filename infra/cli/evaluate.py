"""The command `stvg evaluate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from infra.cli.console import Bars, plain, printable, stoppable
from infra.cli.options import AsJson
from rl.evaluation.parameters import EvaluateParameters

if TYPE_CHECKING:
    from rl.evaluation.results import EvaluationResults
    from tasks.metrics.report import TaskReport

_MOST_FAILURES = 20


@stoppable()
def evaluate_command(parameters: EvaluateParameters, as_json: AsJson = False) -> None:
    """Run an evaluation with a progress bar, and print its results."""
    from infra.ray.engine_actors import replicated
    from rl.evaluation.evaluate import evaluate

    evaluation = parameters.evaluation()
    for text in evaluation.rendering_differences():
        plain(stderr=True).print(f"warning: {text}", soft_wrap=True)
    with Bars(as_json) as bars:
        results = evaluate(parameters, evaluation, replicated, bars.update)
    if as_json:
        print(results.model_dump_json())
    else:
        show_results(results)


def show_results(results: EvaluationResults) -> None:
    """Print results: means in per cent with their intervals, how answers were read, and the failures."""
    from rl.evaluation.report.scores import interval_text

    console = plain()
    for convention, scores in results.scores.items():
        repaired = {f"{task}, ID repair": report for task, report in scores.repaired.items()}
        reports: list[tuple[str, TaskReport]] = [*scores.results.items(), *repaired.items()]
        for name, report in reports:
            table = Table(
                "per cent", "mean", "95 % interval", title=f"{name} ({convention}): {report.counts}", title_justify="left"
            )
            for metric, score in report.metrics.items():
                table.add_row(metric, f"{100 * score.mean:.2f}", interval_text(score, 2))
            console.print(table)
    for field, statuses in (("ids", results.statuses.ids), ("span", results.statuses.span)):
        if statuses:
            console.print(f"{field}: " + ", ".join(f"{count} {status}" for status, count in statuses.items()))
    if results.cut_off:
        console.print(f"{results.cut_off} answers did not end within the tokens allowed")
    if results.failures:
        table = Table("sample", "why it failed (scores zero)")
        for sample_id, reason in list(results.failures.items())[:_MOST_FAILURES]:
            table.add_row(printable(sample_id), printable(reason))
        console.print(table)
    console.print(f"results: {results.path}")
