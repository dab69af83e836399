"""Flow `evaluate/<benchmark>`: run a model on every sentence of a dataset, score its answers, and show the scores.

A flow run has one task run, which is retried if the engine or the server failed; batches with responses are not sent again.
Input errors are not retried.
"""

from __future__ import annotations

from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact

from flows.artifacts import MOST_ROWS, progress_artifact, report_artifact
from flows.families import by_function_name, flows_of
from flows.retries import AS_ENGINES_FAIL
from flows.servers import server_of
from infra.ray.engine_actors import replicated
from rl.evaluation.evaluate import evaluate
from rl.evaluation.parameters import EvaluateParameters
from rl.evaluation.report.scores import score_table
from rl.evaluation.report.write import evaluation_report
from rl.evaluation.results import EvaluationResults
from storage.progress import OnProgress


@task(name="evaluate", **AS_ENGINES_FAIL)
def evaluate_and_show(parameters: EvaluateParameters) -> EvaluationResults:
    """Evaluate, and show scores and failures as artifacts."""
    log = get_run_logger()
    evaluation = parameters.evaluation()
    for text in evaluation.rendering_differences():
        log.warning(text)
    results = evaluate(parameters, evaluation, replicated, _progress(), server_of(parameters))
    create_table_artifact(score_table(results), key="scores", description=f"Scores in per cent, 95 % intervals; {results.path}")
    failures = [{"sample": sample_id, "reason": reason} for sample_id, reason in results.failures.items()]
    about = f"{len(failures)} samples without an answer; they score zero"
    create_table_artifact(failures[:MOST_ROWS], key="failures", description=about)
    report_artifact(evaluation_report(evaluation.dataset, results), evaluation.dataset.folder.name)
    return results


def _progress() -> OnProgress:
    return progress_artifact("asked", "Samples asked", lambda p: f"{p.completed} of {p.total} samples, {p.lost} failed")


def run(parameters: EvaluateParameters) -> str:
    """Run an evaluation; returns the path of its results."""
    return evaluate_and_show(parameters).path


FLOWS = flows_of("evaluate", run)
__getattr__ = by_function_name(FLOWS)
