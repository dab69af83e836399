"""What an evaluation comes to: scores by the benchmark's convention and others, how sure they are, what failed and why."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rl.evaluation.run import predictions
from storage.folders.open import write_json
from storage.reader import Dataset
from storage.stages import StageStore
from tasks.metrics.bootstrap import LEVEL, RESAMPLES, intervals
from tasks.metrics.conventions import DEFAULT
from tasks.metrics.predictions import Prediction, prediction_of
from tasks.metrics.report import Report
from tasks.metrics.scoring import DatasetScores, score_dataset

RESULTS = "results.json"
_COUNTED = ("samples", "failures", "cut_off", "tokens", "prompt_tokens")
_OWN = {
    "hcstvg": "hcstvg_official",
    "hcstvg-v1": "hcstvg_official",
    "hcstvg-v2": "hcstvg_official",
    "vidstg": "stcat_cgstvg_tastvg",
    "st-align-stvg": "st_align",
    "st-align-svg": "st_align",
    "charades-sta": "lmms_eval",
    "tvgbench": "time_r1",
}
"""Benchmark -> whose rules its published numbers follow; the others follow the paper's."""


_PUBLIC = {"mevis": "its split valid_u, with --masks mask_dict.json", "hcstvg-v2": "its val split", "hcstvg": "its val split"}
"""Benchmark -> what of it has a public truth, where not all has."""


def no_truth(benchmark: str) -> str:
    """Why a benchmark's dataset cannot be scored that holds no truth, a sentence."""
    public = _PUBLIC.get(benchmark.partition(".")[0], "a split that has one")
    return f"the truth of '{benchmark}' is not public, so that nothing can be scored: build {public}"


def conventions_of(benchmark: str) -> list[str]:
    """The benchmark's own convention, then the paper's, by the name under which it was built, up to its first dot."""
    return list(dict.fromkeys([_OWN.get(benchmark.partition(".")[0], DEFAULT), DEFAULT]))


@dataclass
class Results:
    """Results of one evaluation.

    Attributes:
        scores: convention -> scores.
        statuses: field -> how its reading went -> samples.
        failures: sample -> why nothing came back; they are in every denominator and score zero.
        cut_off: answers that did not end within the tokens allowed.
        samples: asked, failed ones included.
        tokens, prompt_tokens: of all answers and requests.
    """

    scores: dict[str, DatasetScores] = field(default_factory=dict)
    statuses: dict[str, Counter[str]] = field(default_factory=lambda: {"ids": Counter(), "span": Counter()})
    failures: dict[str, str] = field(default_factory=dict)
    cut_off: int = 0
    samples: int = 0
    tokens: int = 0
    prompt_tokens: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The results as JSON values; each mean beside its confidence interval."""
        told = {name: getattr(self, name) for name in _COUNTED}
        statuses = {name: dict(sorted(counts.items())) for name, counts in self.statuses.items()}
        how = {"level": LEVEL, "resamples": RESAMPLES, "of": "samples"}
        scores = {name: _with_intervals(scores) for name, scores in self.scores.items()}
        return {**told, "statuses": statuses, "intervals": how, "scores": scores}


def results(dataset: Dataset, store: StageStore, conventions: Sequence[str]) -> Results:
    """Score what a store holds, write it beside the predictions as `results.json`, and return it.

    Raises:
        ScoreError: there is no such convention.
    """
    told, answers = Results(), {}
    for row in predictions(store):
        answers[row["sample_id"]] = _counted(row, told)
    if answers:
        told.scores = {name: score_dataset(dataset, answers, name) for name in conventions}
    write_json(store.folder, RESULTS, told.as_dict())
    return told


def kept_results(dataset: Dataset, store: StageStore, conventions: Sequence[str]) -> dict[str, Any]:
    """The results beside finished predictions, with their `path`; scored now where they are older, or lack a convention.

    Raises:
        ScoreError: there is no such convention.
    """
    counted = Results()
    for row in predictions(store):
        _counted(row, counted)
    try:
        told: dict[str, Any] = json.loads(store.folder.read(RESULTS))
    except FileNotFoundError:
        told = {}
    same = all(told.get(name) == getattr(counted, name) for name in _COUNTED)
    if not same or set(conventions) - set(told["scores"]):
        told = results(dataset, store, conventions).as_dict()
    scores = {name: told["scores"][name] for name in conventions if name in told["scores"]}
    return {**told, "scores": scores, "path": results_path(store)}


def reports_of(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Task -> its report by one convention, with ID repair where there are boxes; `scores` as `results.json` has them."""
    return {**scores["results"], **scores["repaired"]}


def main_task(scores: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """The largest task of one convention's scores, and its report of `reports_of`; None where nothing is scored."""
    return max(reports_of(scores).items(), key=lambda item: int(item[1]["samples"]), default=None)


def main_report(told: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a table shows of results as `results.json` has them; None where nothing is scored.

    It is that of `main_task` by the first convention.
    """
    return next((main[1] for scores in told["scores"].values() if (main := main_task(scores))), None)


def ceiling(dataset: Dataset, convention: str) -> dict[str, Any]:
    """Results of true times and true IDs, as far as `main_report` reads them.

    Raises:
        ScoreError: there is no such convention.
    """
    return {"scores": {convention: _with_intervals(score_dataset(dataset, None, convention))}}


def results_path(store: StageStore) -> str:
    """Path or URL of an evaluation's results."""
    return f"{store.folder}/{RESULTS}"


def score_rows(told: Mapping[str, Any]) -> list[dict[str, str]]:
    """Results as a table: a row a convention and task, with and without ID repair; each mean in per cent with its interval."""
    rows = []
    for convention, scores in told["scores"].items():
        for kind, repaired in (("results", "without"), ("repaired", "with")):
            for task, report in scores[kind].items():
                means = {name: _mean_told(report, name) for name in report["intervals"]}
                rows.append({"convention": convention, "task": task, "ID repair": repaired, **means})
    return rows


def _mean_told(report: Mapping[str, Any], name: str) -> str:
    low, high = report["intervals"][name]
    return f"{100 * report[name]:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def _counted(row: Mapping[str, Any], told: Results) -> Prediction:
    """Count a row's statuses and costs; its prediction."""
    told.samples += 1
    for name in told.statuses:
        if row[f"{name}_status"]:
            told.statuses[name][row[f"{name}_status"]] += 1
    told.cut_off += "length" in row["finishes"]
    told.tokens, told.prompt_tokens = told.tokens + row["tokens"], told.prompt_tokens + row["prompt_tokens"]
    if row["failed"]:
        told.failures[row["sample_id"]] = row["failed"]
    return prediction_of(row, row["sample_id"])


def _with_intervals(scores: DatasetScores) -> dict[str, Any]:
    told = scores.as_dict()
    for name, reports in (("results", scores.results), ("repaired", scores.repaired)):
        for task, report in reports.items():
            told[name][task]["intervals"] = _rounded(report)
    return told


def _rounded(report: Report) -> dict[str, list[float]]:
    return {name: [round(side, 6) for side in interval] for name, interval in intervals(report).items()}
