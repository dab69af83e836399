"""Plan of a table: what exists, what would be run and what cannot; nothing is built, trained, loaded or requested."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from rl.models.registry import SCHOOLED, TINY, find_model
from rl.paper.backend import Backend
from rl.paper.evaluations import FORESEEN, open_part
from rl.paper.numbers import CEILING
from rl.paper.steps import is_built
from rl.paper.table import Part, Reproduction, Step, StepKind
from rl.training.records import read_lineage
from storage.common.config import error_text


class Work(StrEnum):
    """Work that a part needs."""

    BUILD = "to build"
    RENDER = "to render"
    TRAIN = "to train"
    SCORE = "to score"
    EVALUATE = "to ask"
    RESUME = "begun"


_WORK = {StepKind.BUILD: Work.BUILD, StepKind.RENDER: Work.RENDER, StepKind.TRAIN: Work.TRAIN}


class PartPlan(BaseModel):
    """Plan of a row on a benchmark.

    Attributes:
        row: Name of the row.
        benchmark: Name of the benchmark.
        work: Work that remains, in its order; empty if the results are stored or the part cannot run.
        reason: Reason why the part cannot run; empty if it can.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    row: str
    benchmark: str
    work: tuple[Work, ...] = ()
    reason: str = ""

    @property
    def description(self) -> str:
        """The plan in a phrase."""
        return f"cannot run: {self.reason}" if self.reason else ", ".join(self.work) or "done"


class TablePlan(BaseModel):
    """Plan of a table.

    Attributes:
        table: Number of the table.
        parts: Plan of each row that can be run here, on each of its benchmarks.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    table: str
    parts: tuple[PartPlan, ...]


def plan_table(table: Reproduction, backend: Backend) -> TablePlan:
    """Plan a table.

    Args:
        table: Table to plan.
        backend: Counts the GPUs that trainings need.
    """
    work: dict[str, Work | None] = {}
    reasons: dict[str, str] = {}
    for step in table.steps:
        try:
            work[step.name] = _WORK[step.kind] if _is_missing(table, step, backend) else None
        except FORESEEN as error:
            reasons[step.name] = error_text(error)
    return TablePlan(table=table.number, parts=tuple(_plan(table, part, work, reasons) for part in table.parts))


def _plan(table: Reproduction, part: Part, work: dict[str, Work | None], reasons: dict[str, str]) -> PartPlan:
    plan = PartPlan(row=part.row.name, benchmark=part.benchmark)
    names = [step.name for step in table.needs(part)]
    if reason := next((reasons[name] for name in names if name in reasons), ""):
        return plan.model_copy(update={"reason": reason})
    remaining = list(dict.fromkeys(item for name in names if (item := work[name])))
    try:
        return plan.model_copy(update={"work": (*remaining, *_own_work(table, part, bool(remaining)))})
    except FORESEEN as error:
        return plan.model_copy(update={"reason": error_text(error)})


def _own_work(table: Reproduction, part: Part, incomplete: bool) -> list[Work]:
    """Work after the steps; `incomplete` if some of them are still to run."""
    if part.row.protocol == CEILING:
        return [Work.SCORE]
    if not part.row.training and table.engine != "openai":
        _check_model(table.model(part.row))
    if incomplete:
        return [Work.EVALUATE]
    job = open_part(table, part)
    if not job.remaining:
        return []
    return [Work.EVALUATE if job.remaining == len(job.evaluation.samples()) else Work.RESUME]


def _is_missing(table: Reproduction, step: Step, backend: Backend) -> bool:
    """Whether the output of a step does not exist.

    Raises:
        StvgError, ValidationError: The step cannot run.
    """
    part = step.part
    if step.kind is StepKind.TRAIN:
        return _is_untrained(table, part, backend)
    if is_built(table, part):
        return False
    if step.kind is StepKind.BUILD and (table.published(part.benchmark) or not part.changes):
        table.build(part)
    return True


def _is_untrained(table: Reproduction, part: Part, backend: Backend) -> bool:
    parameters = table.unnamed_training(part)
    _check_model(parameters.model)
    if table.published(parameters.dataset):
        parameters = table.training(part)
        if read_lineage(parameters.folder) is not None:
            return False
    backend.check_gpus(parameters)
    return True


def _check_model(name: str) -> None:
    """Check that a model exists; a tiny model always does, since it is generated when it is needed."""
    if name not in {*TINY, SCHOOLED}:
        find_model(name)
