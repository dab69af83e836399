"""The command `stvg evaluate`, and how an evaluation runs from anywhere: in a terminal or in a flow."""

from __future__ import annotations

from infra.forms.evaluation import EvaluateParameters, shown_in
from infra.ray.engine_actors import replicated
from rl.engines.open import EngineConfig
from rl.evaluation.results import EvaluationResults, score_predictions
from rl.evaluation.run import Evaluation, ask
from rl.models.families import differences
from storage.progress import OnProgress

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
    with opened as answering, evaluation.store(answering).folder.lock():
        store = ask(evaluation, answering, on_progress, max(1, _AHEAD * replicas))
        return score_predictions(evaluation.dataset, store, conventions)


def shown_otherwise(evaluation: Evaluation) -> list[str]:
    """What the dataset shows otherwise than the model was trained with, a phrase each."""
    return differences(evaluation.model, shown_in(evaluation.dataset))
