"""`evaluate/<benchmark>`: ask a model every sentence of a built dataset, score it, show it.

One task run a flow run. It is tried again where an engine or a server failed: batches that have their answers are not asked
again. Bad input fails at once, for another try would find it as it is.
"""

from __future__ import annotations

from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact

from flows.artifacts import MOST_ROWS, progress_artifact, report_artifact
from flows.families import by_function_name, flows_of
from flows.retries import AS_ENGINES_FAIL
from flows.servers import engine_of
from infra.asking import run_evaluation, shown_otherwise
from infra.forms.evaluation import EvaluateParameters
from infra.report import evaluation_report
from rl.evaluation.report.scores import score_table
from rl.evaluation.results import EvaluationResults
from storage.progress import OnProgress


@task(name="ask", **AS_ENGINES_FAIL)
def asking(parameters: EvaluateParameters) -> EvaluationResults:
    """Ask, score, and show scores and failures as artifacts."""
    log = get_run_logger()
    evaluation = parameters.evaluation()
    for text in shown_otherwise(evaluation):
        log.warning(text)
    results = run_evaluation(parameters, evaluation, _progress(), engine_of(parameters))
    create_table_artifact(score_table(results), key="scores", description=f"Scores in per cent, 95 % intervals; {results.path}")
    failures = [{"sample": sample_id, "reason": reason} for sample_id, reason in results.failures.items()]
    about = f"{len(failures)} samples without an answer; they score zero"
    create_table_artifact(failures[:MOST_ROWS], key="failures", description=about)
    report_artifact(evaluation_report(evaluation.dataset, results), evaluation.dataset.folder.name)
    return results


def _progress() -> OnProgress:
    return progress_artifact("asked", "Samples asked", lambda p: f"{p.completed} of {p.total} samples, {p.lost} failed")


def run(parameters: EvaluateParameters) -> str:
    """Ask and score; returns the path of the results."""
    return asking(parameters).path


FLOWS = flows_of("evaluate", run)
__getattr__ = by_function_name(FLOWS)
