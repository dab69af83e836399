"""Evaluations of a table's parts: stored results are reused, the others are run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pydantic import ValidationError

from rl.engines.open import engine_identity
from rl.evaluation.evaluate import evaluate
from rl.evaluation.parameters import EvaluateParameters
from rl.evaluation.results import EvaluationResults, ceiling, conventions_of, no_truth, results_of
from rl.evaluation.run import Evaluation, remaining_samples
from rl.models.registry import check_lineage
from rl.paper.backend import Backend
from rl.paper.comparison import CellKey, Unavailable
from rl.paper.numbers import CEILING, PaperError
from rl.paper.table import Part, Reproduction
from storage.common.config import error_text
from storage.common.errors import StvgError
from storage.common.prefetch import parallel_map
from storage.folders.open import folder_at
from storage.progress import OnProgress, Progress
from storage.reader import Dataset
from storage.stages import StageStore
from tasks.metrics.arrays import has_truth

Outcome = EvaluationResults | Unavailable
Outcomes = dict[CellKey, Outcome]
"""Results of each row on each benchmark, or the reason why there are none."""
Unmet = Mapping[str, Unavailable]
"""Name of a failed step -> reason."""
FORESEEN = (StvgError, ValidationError)
"""Errors that become the reason of a part or a step."""


@dataclass(frozen=True)
class PartEvaluation:
    """The evaluation of a part, and how much of it is missing.

    Attributes:
        parameters: Parameters of the evaluation.
        evaluation: The evaluation.
        store: Its stored predictions.
        remaining: Number of samples without a response.
    """

    parameters: EvaluateParameters
    evaluation: Evaluation
    store: StageStore
    remaining: int


def open_part(table: Reproduction, part: Part) -> PartEvaluation:
    """Open the evaluation of a part; no model is loaded and no server is contacted.

    Args:
        table: Table of the part.
        part: A part whose dataset and model exist.

    Raises:
        StvgError: The evaluation cannot be run here, or its results could not be compared with the paper's.
        ValidationError: A parameter is unknown or out of bounds.
    """
    parameters = table.evaluation(part)
    folder = folder_at(table.out).child(part.benchmark if part.rerendered else part.dataset)
    evaluation = replace(parameters.evaluation(), folder=folder)
    if parameters.engine.name != "openai":  # a server does not report the hash of its weights
        check_lineage(parameters.model, evaluation.model)
    if not evaluation.protocol.captions and not has_truth(evaluation.dataset, evaluation.protocol.tasks):
        raise PaperError(no_truth(part.benchmark))
    store = evaluation.store_of(engine_identity(parameters.engine, evaluation.model, parameters.server_here()))
    return PartEvaluation(parameters, evaluation, store, remaining_samples(evaluation, store))


def evaluate_parts(table: Reproduction, unmet: Unmet, backend: Backend, on_progress: OnProgress, at_once: int = 1) -> Outcomes:
    """Evaluate every part whose steps succeeded; parts with the same model, dataset and protocol share the results.

    Args:
        table: Table whose steps were run.
        unmet: Steps that failed.
        backend: Opens engines.
        on_progress: Called after each evaluation.
        at_once: Number of evaluations that run at once, each with an engine of its own.
    """
    outcomes: Outcomes = {}
    groups: dict[tuple[str, ...], list[Part]] = {}
    for part in table.parts:
        reason = next((unmet[step.name] for step in table.needs(part) if step.name in unmet), None)
        if reason:
            outcomes[part.key] = reason
        elif part.row.protocol == CEILING:
            outcomes[part.key] = ceiling(Dataset(table.folder(part.dataset)), conventions_of(part.benchmark)[0])
        else:
            groups.setdefault((part.row.model, part.row.training, part.dataset, part.row.protocol), []).append(part)
    results = parallel_map(lambda parts: evaluate_part(table, parts[0], backend), groups.values(), at_once, "evaluation")
    for number, (parts, outcome) in enumerate(zip(groups.values(), results, strict=True), 1):
        outcomes |= {part.key: outcome for part in parts}
        on_progress(Progress("evaluations", number, len(groups)))
    return outcomes


def evaluate_part(table: Reproduction, part: Part, backend: Backend) -> Outcome:
    """Results of a part: the stored ones if they are complete, or those of a run.

    Args:
        table: Table of the part.
        part: A part whose dataset and model exist.
        backend: Opens the engine of a run.
    """
    try:
        job = open_part(table, part)
        if not job.remaining:
            return results_of(job.evaluation.dataset, job.store, job.parameters.scored_by())
    except FORESEEN as error:
        return Unavailable(error_text(error))
    try:
        return evaluate(job.parameters, job.evaluation, backend.open_engine)
    except FORESEEN as error:
        return Unavailable(error_text(error), transient=True)
