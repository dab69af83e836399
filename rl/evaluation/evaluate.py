"""One evaluation from its parameters to its results."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from rl.engines.base import Engine
from rl.engines.server import Server
from rl.evaluation.parameters import EvaluateParameters
from rl.evaluation.results import EvaluationResults, score_predictions
from rl.evaluation.run import Evaluation, collect_predictions
from rl.models.families import Model
from storage.progress import OnProgress, no_progress

EngineOpener = Callable[[EvaluateParameters, Model, Server | None], AbstractContextManager[Engine]]
"""Opens the engine of an evaluation, or its replicas, with a model and for openai its server."""
_BATCHES_PER_REPLICA = 2
"""One that runs and one that waits, so that no replica is idle while an older batch takes its time."""


def evaluate(
    parameters: EvaluateParameters,
    evaluation: Evaluation,
    opener: EngineOpener,
    on_progress: OnProgress = no_progress,
    server: Server | None = None,
) -> EvaluationResults:
    """Request the responses that are missing, score all of them, and return the stored results.

    Args:
        parameters: of the evaluation.
        evaluation: made from them.
        opener: opens the engine.
        on_progress: called once before the first batch and after each batch.
        server: of the engine openai; by default the server that the environment names.

    Raises:
        EngineError: the engine cannot answer; its earlier responses are stored, and the next run continues.
    """
    opened = opener(parameters, evaluation.model, server or parameters.server_here())
    with opened as engine, evaluation.store(engine).folder.lock():
        store = collect_predictions(evaluation, engine, on_progress, max(1, _BATCHES_PER_REPLICA * parameters.replicas))
        return score_predictions(evaluation.dataset, store, parameters.scored_by())
