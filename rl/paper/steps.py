"""Steps of a table: datasets are built or rendered and models are trained; a step that fails does not stop the others."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import ValidationError

from rl.paper.backend import Backend
from rl.paper.comparison import Unavailable
from rl.paper.evaluations import FORESEEN, Unmet
from rl.paper.table import Part, Reproduction, Step, StepKind
from rl.training.parameters import TrainParameters
from rl.training.records import read_lineage
from storage.common.config import error_text
from storage.common.errors import InputError
from storage.progress import OnProgress
from tasks.build.rerender import is_rendered, variant


def run_step(table: Reproduction, step: Step, unmet: Unmet, backend: Backend, on_progress: OnProgress) -> Unavailable | None:
    """Run a step, unless its output exists.

    Args:
        table: Table of the step.
        step: Step to run; those before it in `table.steps` were run.
        unmet: Steps that failed before.
        backend: Builds, renders and trains.
        on_progress: Called as videos end, or after each update of the weights.

    Returns:
        The reason why the output does not exist; None if it does.
    """
    for needed in table.needs(step.part):
        if needed.name != step.name and needed.name in unmet:
            return unmet[needed.name]
    return failure_of(lambda: _run(table, step, backend, on_progress))


def failure_of(work: Callable[[], object]) -> Unavailable | None:
    """Do something; a foreseen error becomes the reason why it failed."""
    try:
        work()
    except FORESEEN as error:
        return Unavailable(error_text(error), transient=not isinstance(error, (InputError, ValidationError)))
    return None


def _run(table: Reproduction, step: Step, backend: Backend, on_progress: OnProgress) -> None:
    part = step.part
    if step.kind is StepKind.TRAIN:
        _train(table.training(part), backend, on_progress)
    elif step.kind is StepKind.RENDER:
        base = table.folder(part.benchmark)
        if not is_rendered(base, part.setting, part.changes):
            backend.rerender(base, variant(base, part.setting, part.changes), on_progress)
    elif part.changes or part.benchmark in table.setup.builds or not table.published(part.dataset):
        backend.build(table.build(part), on_progress)


def _train(parameters: TrainParameters, backend: Backend, on_progress: OnProgress) -> None:
    if read_lineage(parameters.folder) is None:
        backend.check_gpus(parameters)
        backend.train(parameters, on_progress)


def gpus_of(table: Reproduction, step: Step) -> int:
    """Number of GPUs that a step occupies.

    Args:
        table: Table of the step.
        step: A step; one that cannot run occupies none.
    """
    try:
        return table.unnamed_training(step.part).recipe.gpus if step.kind is StepKind.TRAIN else 0
    except FORESEEN:
        return 0


def stop_steps(table: Reproduction, backend: Backend) -> None:
    """Stop the jobs of a table's steps that run on a cluster.

    Args:
        table: Table of the steps; a step that cannot run has no job.
        backend: Stops the jobs.
    """

    def stop(step: Step) -> None:
        if step.kind is StepKind.TRAIN:
            if (training := table.training(step.part)).ray:
                backend.stop(training)
        elif step.part.benchmark in table.setup.builds and (build := table.build(step.part)).as_job:
            backend.stop(build)

    for step in table.steps:
        failure_of(lambda step=step: stop(step))  # type: ignore[misc]


def is_built(table: Reproduction, part: Part) -> bool:
    """Whether the dataset of a part exists.

    Args:
        table: Table of the part.
        part: A variant with the masks of its base must also be up to date with them.
    """
    if not part.rerendered:
        return table.published(part.dataset)
    return table.published(part.benchmark) and is_rendered(table.folder(part.benchmark), part.setting, part.changes)
