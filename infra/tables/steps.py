"""The steps of a table: datasets that are built or rendered, models that are trained, parts that are asked.

What cannot be had has a reason, and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from pydantic import ValidationError

from infra.ray import gpus, job
from infra.ray.build import build_dataset, rerender_dataset
from infra.ray.build_job import run_job, stop_job
from infra.ray.session import ClusterError
from infra.ray.train_job import training_driver, training_job
from infra.sweeping import Ask, ask_quietly, run_cells
from infra.sweeps import Sweep
from infra.tables.table import Part, Reproduction, Step
from infra.train import prepare_training
from rl.engines.base import EngineError
from rl.evaluation.cells import Cell, CellStatus
from rl.evaluation.parameters import EvaluateParameters
from rl.evaluation.results import EvaluationResults, ceiling, conventions_of
from rl.evaluation.run import Evaluation
from rl.paper.comparison import Unavailable
from rl.paper.numbers import CEILING
from rl.training.launch import run_training, step_progress
from rl.training.parameters import TrainParameters
from rl.training.records import read_lineage
from storage.common.config import error_text
from storage.common.errors import InputError, StvgError
from storage.manifest import DatasetError
from storage.progress import OnProgress, Progress
from storage.reader import Dataset
from tasks.build.rerender import is_rendered, keeps_masks
from tasks.build.run import FanOut

FORESEEN = (StvgError, ValidationError)
Lacks = Mapping[str, Unavailable]
"""Name of a step -> the reason why its output does not exist."""


def _lacking(work: Callable[[], object]) -> Unavailable | None:
    try:
        work()
    except FORESEEN as error:
        return Unavailable(error_text(error), not isinstance(error, (InputError, ValidationError)))
    return None


def take(
    table: Reproduction, step: Step, lacks: Lacks, on_progress: OnProgress, fan_out: FanOut | None = None
) -> Unavailable | None:
    """Take a step, unless what it makes is there; why not, where it cannot be taken.

    Args:
        table: whose step it is.
        step: not taken before those that stand before it in the table's steps.
        lacks: of the steps before.
        on_progress: is told of videos and of a training's steps.
        fan_out: who renders; by default Ray, where there is something to render.
    """
    for needed in table.needs(step.part):
        if needed.name != step.name and needed.name in lacks:
            return lacks[needed.name]
    if step.training:
        return _lacking(lambda: train(table.training(step.part), on_progress))
    return _lacking(lambda: _build(table, step.part, on_progress, fan_out))


def _build(table: Reproduction, part: Part, on_progress: OnProgress, fan_out: FanOut | None) -> None:
    if part.changes and keeps_masks(part.changes):
        base = table.folder(part.benchmark)
        if not is_rendered(base, part.setting, part.changes):
            rerender_dataset(base, part.setting, part.changes, on_progress, fan_out)
    elif part.changes or part.benchmark in table.setup.builds or not published(table, part.dataset):
        parameters = table.build(part)
        (run_job if parameters.as_job else build_dataset)(parameters, on_progress)


def published(table: Reproduction, dataset: str) -> bool:
    """Whether a dataset is there."""
    try:
        Dataset(table.folder(dataset))
    except DatasetError:
        return False
    return True


def train(parameters: TrainParameters, on_progress: OnProgress) -> None:
    """Train to the end, unless that was done.

    Raises:
        ClusterError: there are not the GPUs for it.
        TrainingError: it broke; the same again goes on from its last whole checkpoint.
    """
    if read_lineage(parameters.folder) is None:
        check_gpus(parameters)
        prepare_training(parameters)
        run_training(parameters.folder, lambda metrics: on_progress(step_progress(metrics)), training_driver(parameters))


def gpus_of(table: Reproduction, step: Step) -> int:
    """GPUs that a step needs to itself; none where it cannot be taken."""
    try:
        return table.unnamed_training(step.part).recipe.gpus if step.training else 0
    except FORESEEN:
        return 0


def check_gpus(parameters: TrainParameters) -> None:
    """Make sure that a training has its GPUs, here or on its cluster, unless it is at work on them already.

    Raises:
        ClusterError: it has not.
    """
    needed = parameters.recipe.gpus
    if parameters.ray:
        if needed and job.running(training_job(parameters)) is None:
            gpus.check_free(parameters.ray, needed)
    elif needed:
        import torch

        if (here := torch.cuda.device_count()) < needed:
            raise ClusterError(f"the training needs {needed} GPUs, and this machine has {here}: set ray under [training]")


def stop(table: Reproduction) -> None:
    """Stop the jobs of its steps that are at work on a cluster."""

    def stop_one(step: Step) -> None:
        if not step.training:
            if step.part.benchmark in table.setup.builds and (build := table.build(step.part)).as_job:
                stop_job(build)
        elif (training := table.training(step.part)).ray:
            job.stop(training_job(training))

    for step in table.steps:
        _lacking(partial(stop_one, step))


def lack_of(table: Reproduction, part: Part, lacks: Lacks) -> Unavailable | None:
    """Why a part cannot be asked, before anybody is."""
    return next((lacks[step.name] for step in table.needs(part) if step.name in lacks), None)


def cell_status_or_reason(sweep: Sweep, cell: Cell) -> CellStatus:
    """How far a cell has come; a foreseen error is the reason why it cannot run."""
    try:
        return sweep.status(cell)
    except FORESEEN as error:
        return CellStatus(reason=error_text(error))


Answers = dict[tuple[str, str], EvaluationResults | Unavailable]
"""Key of a part -> its results, or why it has none."""


def answers(table: Reproduction, lacks: Lacks, on_progress: OnProgress, at_once: int = 1, ask: Ask = ask_quietly) -> Answers:
    """Ask every part that lacks nothing, and score it; what was asked before is not asked again.

    Args:
        table: whose parts are asked.
        lacks: of the table's steps, all taken.
        on_progress: is told of evaluations.
        at_once: evaluations under way together.
        ask: runs an evaluation.
    """
    found: Answers = {part.key: lack for part in table.parts if (lack := lack_of(table, part, lacks))}
    cells: dict[Cell, list[Part]] = {}
    for part in (part for part in table.parts if part.key not in found):
        if part.row.protocol == CEILING:
            found[part.key] = ceiling(Dataset(table.folder(part.dataset)), conventions_of(part.benchmark)[0])
        else:
            cells.setdefault(table.cell(part), []).append(part)
    sweep = table.sweep(cells)

    def asked(parameters: EvaluateParameters, evaluation: Evaluation) -> EvaluationResults:
        try:
            return ask(parameters, evaluation)
        except FORESEEN as error:
            raise EngineError(error_text(error)) from error

    statuses = {cell: cell_status_or_reason(sweep, cell) for cell in sweep.cells}
    for number, result in enumerate(run_cells(sweep, statuses, at_once, asked), 1):
        made = Unavailable(result.reason, result.evaluated) if result.results is None else result.results
        found |= {part.key: made for part in cells[result.cell]}
        on_progress(Progress("evaluations", number, len(cells), 0))
    return found
