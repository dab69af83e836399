"""Evaluations, accepted scores and nights that an earlier version wrote are read as they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rl.evaluation.comparison import series_scores
from rl.evaluation.history import accepted_scores, read_history
from rl.evaluation.legacy import upgraded_results, upgraded_state
from rl.evaluation.predictions import open_predictions
from rl.evaluation.results import read_results
from storage.folders.open import folder_at

LEGACY = Path(__file__).parent.parent.parent / "fixtures" / "legacy"
EXPECTED = json.loads((LEGACY / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(EXPECTED["evaluations"]))
def test_results_have_the_means_that_were_written(name: str) -> None:
    path = LEGACY / "evaluations" / name / "results.json"
    stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    results = read_results(open_predictions(str(path.parent)))
    assert (results.key, results.path) == (path.parent.name, str(path))
    assert (results.samples, results.failures, results.tokens) == (stored["samples"], stored["failures"], stored["tokens"])
    assert results.scores.keys() == stored["scores"].keys()
    for convention, scores in results.scores.items():
        for kind, reports in (("results", scores.results), ("repaired", scores.repaired)):
            for task, report in reports.items():
                old = stored["scores"][convention][kind][task]
                means = {metric: score.mean for metric, score in report.metrics.items()}
                assert means == {metric: old[metric] for metric in means}
                assert {m: list(s.interval or ()) for m, s in report.metrics.items()} == old["intervals"]
                assert (report.samples, report.lost, report.per_sample) == (old["samples"], old["lost"], old["per_sample"])
                assert means


def test_results_of_now_are_left_as_they_are() -> None:
    assert upgraded_results({"version": 2, "scores": {"paper": 1}}) == {"version": 2, "scores": {"paper": 1}}


def test_nights_and_accepted_scores_are_read_and_comparable() -> None:
    folder = folder_at(LEGACY / "evaluations" / "nightly")
    history = read_history(folder)
    assert [{"series": row.series, "state": row.state, "mean": row.mean} for row in history] == EXPECTED["nights"]
    accepted = accepted_scores(folder, history[0].series)
    assert accepted is not None
    assert 100 * accepted.mean == pytest.approx(history[0].mean)
    now = series_scores(accepted.series, read_results(open_predictions(str(LEGACY / "evaluations" / "own" / accepted.key))))
    assert now == accepted
    assert (upgraded_state("held"), upgraded_state("dropped")) == ("passed", "dropped")
