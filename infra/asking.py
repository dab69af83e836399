"""The command `stvg evaluate`, and how an evaluation runs from anywhere: in a terminal or in a flow."""

from __future__ import annotations

import json
from typing import Any

from rich.table import Table

from infra.console import Bars, plain, printable
from infra.forms.evaluation import EvaluateParameters, shown_in
from infra.ray.engine_actors import replicated
from infra.results import AsJson
from rl.engines.open import EngineConfig
from rl.evaluation.results import results, results_path
from rl.evaluation.run import Evaluation, ask
from rl.models.families import differences
from storage.progress import OnProgress

_MOST_FAILURES = 20
_AHEAD = 2
"""Batches a replica: one at work, and one that waits, so that none stands idle while an older batch takes its time."""


def run_evaluation(
    parameters: EvaluateParameters, evaluation: Evaluation, on_progress: OnProgress, engine: EngineConfig | None = None
) -> dict[str, Any]:
    """Ask what is left to be asked, score, and return the results as they stand in `results.json`, with its `path`.

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
        told = results(evaluation.dataset, store, conventions).as_dict()
    return {**told, "path": str(results_path(store))}


def shown_otherwise(evaluation: Evaluation) -> list[str]:
    """What the dataset shows otherwise than the model was trained with, a phrase each."""
    return differences(evaluation.model, shown_in(evaluation.dataset))


def evaluate_command(parameters: EvaluateParameters, as_json: AsJson = False) -> None:
    """Run an evaluation with a bar, and print what came of it."""
    evaluation = parameters.evaluation()
    for text in shown_otherwise(evaluation):
        plain(stderr=True).print(f"warning: {text}", soft_wrap=True)
    with Bars(as_json) as bars:
        told = run_evaluation(parameters, evaluation, bars.update)
    if as_json:
        print(json.dumps(told))
    else:
        show_results(told)


def show_results(told: dict[str, Any]) -> None:
    """Print results: scores in per cent with their intervals, how answers were read, and what failed."""
    console = plain()
    for convention, scores in told["scores"].items():
        reports = {**scores["results"], **{f"{task}, ID repair": report for task, report in scores["repaired"].items()}}
        for task, report in reports.items():
            counted = f"{report['samples']} samples, {report['missing']} missing, {report['lost']} lost"
            table = Table("per cent", "mean", "95 % interval", title=f"{task} ({convention}): {counted}", title_justify="left")
            for name, (low, high) in report["intervals"].items():
                table.add_row(name, f"{100 * report[name]:.2f}", f"{100 * low:.2f} to {100 * high:.2f}")
            console.print(table)
    for field, counts in told["statuses"].items():
        if counts:
            console.print(f"{field}: " + ", ".join(f"{count} {status}" for status, count in counts.items()))
    if told["cut_off"]:
        console.print(f"{told['cut_off']} answers did not end within the tokens allowed")
    if told["failures"]:
        table = Table("sample", "why it failed (scores zero)")
        for sample_id, reason in list(told["failures"].items())[:_MOST_FAILURES]:
            table.add_row(printable(sample_id), printable(reason))
        console.print(table)
    console.print(f"results: {told['path']}")
