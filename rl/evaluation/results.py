"""Results of one evaluation: scores by convention with their intervals, how answers were read, and the failures."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from rl.evaluation.legacy import upgraded_results
from rl.evaluation.predictions import stored_predictions
from storage.common.errors import InputError
from storage.reader import Dataset
from storage.stages import StageStore
from tasks.metrics.bootstrap import LEVEL, RESAMPLES
from tasks.metrics.conventions import DEFAULT
from tasks.metrics.predictions import Prediction
from tasks.metrics.report import ConventionScores, TaskReport
from tasks.metrics.scoring import score_dataset

RESULTS = "results.json"
_COUNTED = ("samples", "failures", "cut_off", "tokens", "prompt_tokens")
_OWN_CONVENTION = {
    "hcstvg": "hcstvg_official",
    "hcstvg-v1": "hcstvg_official",
    "hcstvg-v2": "hcstvg_official",
    "vidstg": "stcat_cgstvg_tastvg",
    "st-align-stvg": "st_align",
    "st-align-svg": "st_align",
    "charades-sta": "lmms_eval",
    "tvgbench": "time_r1",
}
"""Benchmark -> the convention of its published numbers; the others follow the paper's."""
_PUBLIC_TRUTH = {
    "mevis": "its split valid_u, with --masks mask_dict.json",
    "hcstvg-v2": "its val split",
    "hcstvg": "its val split",
}
"""Benchmark -> the part of it whose truth is public, where not all of it is."""


class ResultsError(InputError):
    """A results file that cannot be read."""


class ReadingStatuses(BaseModel):
    """How reading the answers went: status of `rl.prompts.answers` -> number of samples.

    Attributes:
        ids: of the object IDs.
        span: of the time range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ids: dict[str, int] = {}
    span: dict[str, int] = {}


class IntervalMethod(BaseModel):
    """How confidence intervals were computed: by bootstrap.

    Attributes:
        unit: what is drawn; earlier results drew samples.
        level: share of draws within an interval.
        resamples: number of draws.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: Literal["sample", "video"] = "sample"
    level: float = LEVEL
    resamples: int = RESAMPLES


_BY_VIDEO = IntervalMethod(unit="video")


class EvaluationResults(BaseModel):
    """Results of one evaluation; `results.json` holds all fields but `path`.

    Attributes:
        version: of the file's layout; `rl.evaluation.legacy` reads earlier ones.
        key: of the predictions, the name of their folder: a hash of everything that shapes them.
        path: path or URL of the results file; empty where there is none.
        samples: number of requested samples, failed ones included.
        failures: sample ID -> reason why there is no response; these samples are in every denominator and score zero.
        cut_off: responses that were cut off at the maximum number of tokens.
        tokens: generated tokens of all responses.
        prompt_tokens: tokens of all requests.
        statuses: how reading the answers went.
        intervals: how confidence intervals were computed.
        scores: convention -> scores; empty for a protocol that is not scored.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[2] = 2
    key: str = ""
    path: str = ""
    samples: int = 0
    failures: dict[str, str] = {}
    cut_off: int = 0
    tokens: int = 0
    prompt_tokens: int = 0
    statuses: ReadingStatuses = ReadingStatuses()
    intervals: IntervalMethod = IntervalMethod()
    scores: dict[str, ConventionScores] = {}

    @property
    def first_scores(self) -> ConventionScores | None:
        """Scores by the first convention, the benchmark's own unless others were chosen; None where nothing is scored."""
        return next(iter(self.scores.values()), None)

    @property
    def main_report(self) -> TaskReport | None:
        """Report of the main task by the first convention that scored one; None where nothing is scored."""
        return next((scores.main[1] for scores in self.scores.values() if scores.main), None)


def no_truth(benchmark: str) -> str:
    """The sentence that explains why a dataset without any truth cannot be scored.

    Args:
        benchmark: name of the dataset.
    """
    public = _PUBLIC_TRUTH.get(benchmark.partition(".")[0], "a split that has one")
    return f"the truth of '{benchmark}' is not public, so that nothing can be scored: build {public}"


def conventions_of(benchmark: str) -> list[str]:
    """The benchmark's own convention, then the paper's.

    Args:
        benchmark: name of the dataset; the part before its first dot names the benchmark.
    """
    return list(dict.fromkeys([_OWN_CONVENTION.get(benchmark.partition(".")[0], DEFAULT), DEFAULT]))


def score_predictions(dataset: Dataset, store: StageStore, conventions: Sequence[str]) -> EvaluationResults:
    """Score stored predictions, and write the results beside them as `results.json`.

    Args:
        dataset: whose samples were requested.
        store: the predictions.
        conventions: names of the conventions, in the order of the results.

    Raises:
        ScoreError: there is no such convention.
    """
    counted, answers = _counted(store)
    scores = {name: score_dataset(dataset, answers, name, intervals=True) for name in conventions} if answers else {}
    results = counted.model_copy(update={"scores": scores, "intervals": _BY_VIDEO})
    # Not sorted: the first convention is the benchmark's own.
    store.folder.write(RESULTS, results.model_dump_json(indent=1, exclude={"path"}).encode())
    return results


def results_of(dataset: Dataset, store: StageStore, conventions: Sequence[str]) -> EvaluationResults:
    """Results of finished predictions: the stored ones, or scored again where these are older or lack a convention.

    Args:
        dataset: whose samples were requested.
        store: the predictions.
        conventions: names of the conventions, in the order of the results.

    Raises:
        ScoreError: there is no such convention.
    """
    counted, _ = _counted(store)
    try:
        results = read_results(store)
    except (FileNotFoundError, ResultsError):
        return score_predictions(dataset, store, conventions)
    same = all(getattr(results, name) == getattr(counted, name) for name in _COUNTED) and results.intervals == _BY_VIDEO
    if not same or set(conventions) - set(results.scores):
        return score_predictions(dataset, store, conventions)
    return results.model_copy(update={"scores": {name: results.scores[name] for name in conventions}})


def read_results(store: StageStore) -> EvaluationResults:
    """The stored results of an evaluation, also of an earlier version.

    Raises:
        FileNotFoundError: there are none yet.
        ResultsError: the file is damaged.
    """
    path = results_path(store)
    try:
        stored = upgraded_results(json.loads(store.folder.read(RESULTS)))
        return EvaluationResults.model_validate({**stored, "key": store.spec.key, "path": path})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    except (ValueError, TypeError, AttributeError) as error:
        reason = str(error)
    raise ResultsError(f"'{path}' is damaged ({reason}): remove it and run the evaluation again")


def ceiling(dataset: Dataset, convention: str) -> EvaluationResults:
    """Results of the true times and true IDs; they are not stored.

    Args:
        dataset: a published dataset.
        convention: name of the convention.

    Raises:
        ScoreError: there is no such convention.
    """
    scores = {convention: score_dataset(dataset, None, convention, intervals=True)}
    return EvaluationResults(scores=scores, intervals=_BY_VIDEO)


def results_path(store: StageStore) -> str:
    """Path or URL of an evaluation's results file."""
    return f"{store.folder}/{RESULTS}"


def _counted(store: StageStore) -> tuple[EvaluationResults, dict[str, Prediction]]:
    """Results without scores, and sample ID -> prediction."""
    statuses: dict[str, Counter[str]] = {"ids": Counter(), "span": Counter()}
    totals: Counter[str] = Counter()
    failures, answers = {}, {}
    for one in stored_predictions(store):
        statuses["ids"].update([one.ids_status] if one.ids_status else [])
        statuses["span"].update([one.span_status] if one.span_status else [])
        cut_off = "length" in one.finishes
        totals.update(samples=1, cut_off=cut_off, tokens=one.tokens, prompt_tokens=one.prompt_tokens)
        if one.failure:
            failures[one.sample_id] = one.failure
        answers[one.sample_id] = one.prediction
    results = EvaluationResults(
        key=store.spec.key,
        path=results_path(store),
        samples=totals["samples"],
        failures=failures,
        cut_off=totals["cut_off"],
        tokens=totals["tokens"],
        prompt_tokens=totals["prompt_tokens"],
        statuses=ReadingStatuses(ids=dict(sorted(statuses["ids"].items())), span=dict(sorted(statuses["span"].items()))),
    )
    return results, answers
