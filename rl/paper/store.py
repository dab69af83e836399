"""Storage of a table with its measured numbers."""

from __future__ import annotations

from rl.evaluation.paper_table import TABLES_FOLDER, PaperTable, RowResults
from rl.evaluation.results import EvaluationResults
from rl.paper.comparison import Unavailable, compare_table
from rl.paper.evaluations import Outcome, Outcomes
from rl.paper.numbers import table_name
from rl.paper.table import Reproduction
from storage.folders.open import folder_at, write_json
from tasks.metrics.report import TaskReport


def write_table(table: Reproduction, outcomes: Outcomes) -> PaperTable:
    """Compare a table with the paper, and write it as `tables/<name>.json` in its evaluations folder.

    Args:
        table: The table.
        outcomes: Results of each row on each benchmark, or the reason why there are none.
    """
    paths = {key: one.path for key, one in outcomes.items() if isinstance(one, EvaluationResults) and one.path}
    stored = PaperTable(
        table=table.number,
        title=table.table.title,
        miniature=table.miniature,
        cells=tuple(compare_table(table.table, {key: _measured(outcome) for key, outcome in outcomes.items()})),
        results=tuple(RowResults(row=row, benchmark=benchmark, path=path) for (row, benchmark), path in paths.items()),
    )
    folder = folder_at(table.out).child(TABLES_FOLDER)
    write_json(folder, f"{table_name(table.number)}.json", stored.model_dump(mode="json"))
    return stored


def _measured(outcome: Outcome) -> TaskReport | Unavailable:
    if isinstance(outcome, Unavailable):
        return outcome
    return outcome.main_report or Unavailable("nothing of it is scored")
