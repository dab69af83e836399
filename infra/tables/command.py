"""The command `stvg reproduce`, and a table as data: what was measured beside what the paper prints."""

from __future__ import annotations

from typing import Any

from infra.tables.steps import Answers, Lack
from infra.tables.table import Reproduction
from rl.paper.numbers import Beside, beside, name_of, told
from storage.folders.open import folder_at, write_json

FOLDER = "tables"
"""Below the evaluations folder: a table a file."""


def compared(table: Reproduction, found: Answers) -> list[Beside]:
    """Every number of the paper's table with what was measured, or why it was not."""
    measured = {}
    for key, results in found.items():
        measured[key] = results.why if isinstance(results, Lack) else results.main_report or "nothing of it is scored"
    return beside(table.table, measured)


def keep(table: Reproduction, found: Answers) -> dict[str, Any]:
    """Write a table as JSON, `tables/<name>.json` below its evaluations folder, and return it: see docs/sweeps.md."""
    results = {key: one.path for key, one in found.items() if not isinstance(one, Lack) and one.path}
    data = {
        "table": table.number,
        "title": table.table.title,
        "miniature": table.miniature,
        "cells": told(compared(table, found)),
        "results": [{"row": row, "benchmark": benchmark, "path": path} for (row, benchmark), path in results.items()],
    }
    write_json(folder_at(table.out).child(FOLDER), f"{name_of(table.number)}.json", data)
    return data
