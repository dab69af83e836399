"""Reports of one evaluation, of a sweep, of a nightly run, and of everything in an evaluations folder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from rl.evaluation.cells import CellResult
from rl.evaluation.history import read_history
from rl.evaluation.paper_table import TABLES_FOLDER, read_paper_table
from rl.evaluation.parameters import NightlyParameters
from rl.evaluation.predictions import open_predictions
from rl.evaluation.regression import RegressionRun, SeriesState
from rl.evaluation.report.collect import ReportedEvaluation
from rl.evaluation.report.page import MAX_SAMPLES, REPORT, write_report
from rl.evaluation.results import RESULTS, EvaluationResults, read_results
from rl.evaluation.sweep import Sweep
from storage.folders.open import folder_at, resolve_folder
from storage.manifest import DatasetError
from storage.reader import Dataset


def evaluation_report(dataset: Dataset, results: EvaluationResults) -> str:
    """Write the report of one evaluation beside its results.

    Args:
        dataset: that was evaluated.
        results: stored.

    Returns:
        URI of the report.
    """
    evaluation = _reported(results, dataset)
    return write_report(evaluation.store.folder, REPORT, dataset.folder.name, [evaluation])


def sweep_report(sweep: Sweep, results: Iterable[CellResult], name: str) -> str:
    """Write the report of a sweep's cells that have results, `<out>/<name>.html`.

    Args:
        sweep: that was run.
        results: of its cells.
        name: of the file, without its ending.

    Returns:
        URI of the report.
    """
    evaluations = [
        _reported(one.results, Dataset(sweep.dataset_folder(one.cell)), one.cell.name)
        for one in results
        if one.results is not None
    ]
    return write_report(folder_at(sweep.out), f"{name}.html", name, evaluations)


def regression_report(parameters: NightlyParameters, run: RegressionRun) -> str:
    """Write the report of a nightly run beside its history, dropped series first.

    Args:
        parameters: of the run.
        run: its series.

    Returns:
        URI of the report.
    """
    sweep, evaluations = parameters.sweep(), []
    for one in sorted(run.series, key=lambda one: one.state is not SeriesState.DROPPED):
        if one.scores is not None:
            results = read_results(open_predictions(f"{sweep.predictions_folder(one.cell)}/{one.scores.key}"))
            fallen = one.comparison.fallen.keys() if one.comparison else frozenset()
            evaluation = _reported(results, Dataset(sweep.dataset_folder(one.cell)), one.series)
            evaluations.append(replace(evaluation, fallen=fallen))
    return write_report(parameters.folder, REPORT, "Nights", evaluations, history=read_history(parameters.folder))


def folder_report(path: str, root: str, limit: int = MAX_SAMPLES) -> str:
    """Write `report.html` into a folder, of all evaluations, tables of the paper and nightly runs in it.

    Args:
        path: an evaluations folder, or the folder of one evaluation: a path or a URL.
        root: folder in which datasets are found by name.
        limit: maximum number of samples that are shown with frames.

    Returns:
        URI of the report.

    Raises:
        DatasetError: the folder has no results.
    """
    folder = folder_at(path)
    names = [listed.name for listed in folder.files()]
    parents = [name.rpartition("/")[0] for name in names if name.rpartition("/")[2] == RESULTS]
    stores = [open_predictions(f"{folder}/{parent}" if parent else str(folder)) for parent in parents]
    in_tables = (name for name in names if name.startswith(f"{TABLES_FOLDER}/") and name.endswith(".json"))
    tables = [read_paper_table(name, folder.read(name)) for name in in_tables]
    history = read_history(folder.child("nightly"))
    if not (stores or tables or history):
        raise DatasetError(f"'{path}' holds no results: evaluate a model first, or name the folder where they are")
    evaluations = [_with_dataset(_reported(read_results(store), None), root) for store in stores]
    return write_report(folder, REPORT, folder.name, evaluations, tables, history, limit)


def _reported(results: EvaluationResults, dataset: Dataset | None, name: str = "") -> ReportedEvaluation:
    """An evaluation by its results; without a name, it is named by benchmark, protocol, model and key."""
    store = open_predictions(results.path.rpartition("/")[0])
    params = store.spec.params
    model = params["engine"].get("model", params["engine"]["engine"])
    own = f"{store.dataset.name}/{params['protocol']}/{model} ({store.spec.key.rpartition('-')[2]})"
    return ReportedEvaluation(name or own, dataset, store, results)


def _with_dataset(evaluation: ReportedEvaluation, root: str) -> ReportedEvaluation:
    """The same with the dataset that was evaluated, if it still exists as it was."""
    store, scores = evaluation.store, evaluation.results.first_scores
    try:
        dataset = Dataset(resolve_folder(scores.dataset if scores else store.dataset.name, root))
    except DatasetError:
        return evaluation
    unchanged = dataset.manifest.content_hash == store.spec.params["dataset"]
    return replace(evaluation, dataset=dataset) if unchanged else evaluation
