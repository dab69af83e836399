"""Storage of a table of the paper with its measured numbers."""

from __future__ import annotations

from infra.tables.steps import Answers
from infra.tables.table import Reproduction
from rl.evaluation.paper_table import TABLES_FOLDER, PaperTable, RowResults
from rl.evaluation.results import EvaluationResults
from rl.paper.comparison import Unavailable, compare
from rl.paper.numbers import table_name
from storage.folders.open import folder_at, write_json


def write_table(table: Reproduction, answers: Answers) -> PaperTable:
    """Write a table as `tables/<name>.json` in the evaluations folder, and return it.

    Args:
        table: Table with everything that it is made with.
        answers: Results of each row on each benchmark, or the reason why there are none.
    """
    measured = {
        key: (results.main_report or Unavailable("nothing of it is scored"))
        if isinstance(results, EvaluationResults)
        else results
        for key, results in answers.items()
    }
    paths = {key: results.path for key, results in answers.items() if isinstance(results, EvaluationResults) and results.path}
    stored = PaperTable(
        table=table.number,
        title=table.table.title,
        miniature=table.miniature,
        cells=tuple(compare(table.table, measured)),
        results=tuple(RowResults(row=row, benchmark=benchmark, path=path) for (row, benchmark), path in paths.items()),
    )
    folder = folder_at(table.out).child(TABLES_FOLDER)
    write_json(folder, f"{table_name(table.number)}.json", stored.model_dump(mode="json"))
    return stored
