"""What is there of a table and what is left to do; nothing is built, trained, loaded or asked for it."""

from __future__ import annotations

from typing import Any

from infra.tables.steps import FORESEEN, cell_status_or_reason, check_gpus, published
from infra.tables.table import Part, Reproduction, Step
from rl.models.registry import SCHOOLED, TINY, find_model
from rl.paper.numbers import CEILING
from rl.training.records import read_lineage
from storage.common.config import error_text
from tasks.build.rerender import is_rendered, keeps_masks


def plan_rows(table: Reproduction) -> list[dict[str, Any]]:
    """A row a part: what is to be done for it, `done`, or why it cannot run."""
    seen: dict[str, str] = {}
    for step in table.steps:
        try:
            seen[step.name] = _left(table, step)
        except FORESEEN as error:
            seen[step.name] = f"cannot run: {error_text(error)}"
    return [{"row": part.row.name, "benchmark": part.benchmark, "state": _state(table, part, seen)} for part in table.parts]


def _left(table: Reproduction, step: Step) -> str:
    """What a step has to do; empty where what it makes is there.

    Raises:
        FORESEEN: it cannot be taken.
    """
    part = step.part
    if step.training:
        return _left_to_train(table, part)
    base = published(table, part.benchmark)
    if part.changes and keeps_masks(part.changes):
        there = base and is_rendered(table.folder(part.benchmark), part.setting, part.changes)
        return "" if there else "to render"
    if published(table, part.dataset):
        return ""
    if base or not part.changes:
        table.build(part)
    return "to build"


def _left_to_train(table: Reproduction, part: Part) -> str:
    asked = table.unnamed_training(part)
    _find(asked.model)
    if published(table, asked.dataset):
        asked = table.training(part)
        if read_lineage(asked.folder) is not None:
            return ""
    check_gpus(asked)
    return "to train"


def _find(model: str) -> None:
    """Look for a model, unless it would be made: what is made here is never lacking."""
    if model not in {*TINY, SCHOOLED}:
        find_model(model)


def _state(table: Reproduction, part: Part, seen: dict[str, str]) -> str:
    left = list(dict.fromkeys(filter(None, (seen[step.name] for step in table.needs(part)))))
    if cannot := [told for told in left if told.startswith("cannot")]:
        return cannot[0]
    if part.row.protocol == CEILING:
        return ", ".join([*left, "to score"])
    try:
        if not part.row.training and table.engine != "openai":
            _find(table.model(part.row))
    except FORESEEN as error:
        return f"cannot run: {error_text(error)}"
    if left:
        return ", ".join([*left, "to ask"])
    cell = table.cell(part)
    return cell_status_or_reason(table.sweep([cell]), cell).description
