"""The command `stvg evaluate`, and how an evaluation runs from anywhere: in a terminal or in a flow."""

from __future__ import annotations

from rich.table import Table

from infra.console import Bars, plain, printable
from infra.forms.evaluation import EvaluateParameters, shown_in
from infra.ray.engine_actors import replicated
from infra.results import AsJson
from rl.engines.open import EngineConfig
from rl.evaluation.report.scores import interval_text
from rl.evaluation.results import EvaluationResults, score_predictions
from rl.evaluation.run import Evaluation, ask
from rl.models.families import differences
from storage.progress import OnProgress

_MOST_FAILURES = 20
_AHEAD = 2
"""Batches a replica: one at work, and one that waits, so that none stands idle while an older batch takes its time."""


def run_evaluation(
    parameters: EvaluateParameters, evaluation: Evaluation, on_progress: OnProgress, engine: EngineConfig | None = None
) -> EvaluationResults:
    """Request the responses that are missing, score all of them, and return the stored results.

    Args:
        parameters: that the evaluation was made from.
        evaluation: what is asked of whom.
        on_progress: called after each batch.
        engine: in place of that of the parameters, whose server is the environment's.

    Raises:
        EngineError: the engine cannot answer; what it answered before stays, and the next run goes on.
    """
    conventions = [] if evaluation.protocol.captions else parameters.named_conventions()
    config, replicas = engine or parameters.engine_config(), parameters.replicas
    opened = replicated(config, evaluation.model, evaluation.decoding, replicas, parameters.ray or None)
    with opened as answering, evaluation.store(answering).folder.exclusive():
        store = ask(evaluation, answering, on_progress, max(1, _AHEAD * replicas))
        return score_predictions(evaluation.dataset, store, conventions)


def shown_otherwise(evaluation: Evaluation) -> list[str]:
    """What the dataset shows otherwise than the model was trained with, a phrase each."""
    return differences(evaluation.model, shown_in(evaluation.dataset))


def evaluate_command(parameters: EvaluateParameters, as_json: AsJson = False) -> None:
    """Run an evaluation with a bar, and print what came of it."""
    evaluation = parameters.evaluation()
    for text in shown_otherwise(evaluation):
        plain(stderr=True).print(f"warning: {text}", soft_wrap=True)
    with Bars(as_json) as bars:
        results = run_evaluation(parameters, evaluation, bars.update)
    if as_json:
        print(results.model_dump_json())
    else:
        show_results(results)


def show_results(results: EvaluationResults) -> None:
    """Print results: means in per cent with their intervals, how answers were read, and the failures."""
    console = plain()
    for convention, scores in results.scores.items():
        reports = {**scores.results, **{f"{task}, ID repair": report for task, report in scores.repaired.items()}}
        for name, report in reports.items():
            counts = f"{report.samples} samples, {report.missing} missing, {report.lost} lost"
            table = Table("per cent", "mean", "95 % interval", title=f"{name} ({convention}): {counts}", title_justify="left")
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
