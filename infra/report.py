"""Reports: of one evaluation, of a sweep, of a night, and `stvg report`, of all that an evaluations folder holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from infra.nightly import NightlyParameters
from infra.sweeps import Sweep
from rl.evaluation.cells import CellResult
from rl.evaluation.history import read_history
from rl.evaluation.paper_table import TABLES_FOLDER, read_paper_table
from rl.evaluation.predictions import open_predictions
from rl.evaluation.regression import RegressionRun, SeriesState
from rl.evaluation.report.collect import ReportedEvaluation
from rl.evaluation.report.page import MAX_SAMPLES, REPORT, write_report
from rl.evaluation.results import RESULTS, EvaluationResults, read_results
from storage.folders.open import folder_at, resolve_folder
from storage.manifest import DatasetError
from storage.reader import Dataset


def evaluation_report(dataset: Dataset, results: EvaluationResults) -> str:
    """Write the report of one evaluation beside its results, and return its URI."""
    found = _evaluated(results, dataset)
    return write_report(found.store.folder, REPORT, dataset.folder.name, [found])


def sweep_report(sweep: Sweep, results: Iterable[CellResult], name: str) -> str:
    """Write `<out>/<name>.html`, the report of a sweep's cells that have results, and return its URI."""
    evaluations = [
        _evaluated(one.results, Dataset(sweep.folder(one.cell)), one.cell.name) for one in results if one.results is not None
    ]
    return write_report(folder_at(sweep.out), f"{name}.html", name, evaluations)


def regression_report(parameters: NightlyParameters, run: RegressionRun) -> str:
    """Write the report of a regression run beside its history, dropped series first, and return its URI."""
    sweep, evaluations = parameters.sweep(), []
    for one in sorted(run.series, key=lambda one: one.state is not SeriesState.DROPPED):
        if one.scores is not None:
            results = read_results(open_predictions(f"{sweep.kept(one.cell)}/{one.scores.key}"))
            fallen = one.comparison.fallen.keys() if one.comparison else frozenset()
            evaluation = _evaluated(results, Dataset(sweep.folder(one.cell)), one.series)
            evaluations.append(replace(evaluation, fallen=fallen))
    return write_report(parameters.folder, REPORT, "Nights", evaluations, history=read_history(parameters.folder))


def report_of(where: str, root: str, most: int = MAX_SAMPLES) -> str:
    """Write `report.html` into a folder, of all evaluations, tables of the paper and nights in it, and return its URI.

    Args:
        where: an evaluations folder, or that of one evaluation: a path or a URL.
        root: below which datasets are looked for by name.
        most: samples that are shown with frames.

    Raises:
        DatasetError: the folder holds no results.
    """
    folder = folder_at(where)
    names = [listed.name for listed in folder.files()]
    parents = [name.rpartition("/")[0] for name in names if name.rpartition("/")[2] == RESULTS]
    every = [read_results(open_predictions(f"{folder}/{parent}" if parent else str(folder))) for parent in parents]
    in_tables = (name for name in names if name.startswith(f"{TABLES_FOLDER}/") and name.endswith(".json"))
    tables = [read_paper_table(name, folder.read(name)) for name in in_tables]
    history = read_history(folder.child("nightly"))
    if not (every or tables or history):
        raise DatasetError(f"'{where}' holds no results: evaluate a model first, or name the folder where they are")
    found = [_with_dataset(_evaluated(results, None), root) for results in every]
    return write_report(folder, REPORT, folder.name, found, tables, history, most)


def _evaluated(results: EvaluationResults, dataset: Dataset | None, name: str = "") -> ReportedEvaluation:
    """An evaluation by its results; without a name, it is told by its benchmark, protocol, model and key."""
    store = open_predictions(results.path.rpartition("/")[0])
    params = store.spec.params
    whose = params["engine"].get("model", params["engine"]["engine"])
    told = f"{store.dataset.name}/{params['protocol']}/{whose} ({store.spec.key.rpartition('-')[2]})"
    return ReportedEvaluation(name or told, dataset, store, results)


def _with_dataset(found: ReportedEvaluation, root: str) -> ReportedEvaluation:
    """The same with the dataset that was asked, if that is still what it was."""
    store, scores = found.store, found.results.first_scores
    try:
        dataset = Dataset(resolve_folder(scores.dataset if scores else store.dataset.name, root))
    except DatasetError:
        return found
    return replace(found, dataset=dataset) if dataset.manifest.content_hash == store.spec.params["dataset"] else found
