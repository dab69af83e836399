"""Nights over a small sweep: what has not changed is not asked, what fell fails by its samples, and accepting is deliberate."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from infra.cli.nightly import accept_command, nightly_command
from infra.ray.backend import RayBackend
from rl.engines.base import EngineError
from rl.evaluation.comparison import NightlyError
from rl.evaluation.history import accepted_scores, read_history
from rl.evaluation.nightly import accept, run_nightly
from rl.evaluation.parameters import NightlyParameters
from rl.evaluation.regression import DropError, RegressionRun, SeriesRun
from storage.progress import no_progress
from tasks.build.run import run_here

ONE = (
    ('["marked", "unmarked"]', '["marked"]'),
    ('[markers.size-40]\n"markers.size" = 40\n[markers.theta-0]\n"markers.theta" = 0\n', ""),
)
WORSE = "<think>It is red.</think><answer>Target ID: 1, Time range: 0.5 to 1.0</answer>"


def night(parameters: NightlyParameters) -> RegressionRun:
    return run_nightly(parameters, RayBackend(run_here), no_progress)


def only(run: RegressionRun) -> SeriesRun:
    [one] = run.series
    return one


@pytest.fixture
def nightly(sweep_of: Callable[..., NightlyParameters]) -> NightlyParameters:
    """One series: the tiny model, marked."""
    return sweep_of(*ONE, model=NightlyParameters)


def test_nothing_is_compared_before_something_is_accepted_and_nothing_asked_while_nothing_changes(
    nightly: NightlyParameters, engine: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    first = only(night(nightly))
    assert (first.state, first.comparison, engine.opened) == ("new", None, 1)
    assert accepted_scores(nightly.folder, first.series) is None
    accept_command(nightly)
    assert "add --yes" in capsys.readouterr().out
    assert accepted_scores(nightly.folder, first.series) is None, "it was only told"
    accept_command(nightly, yes=True)
    assert accepted_scores(nightly.folder, first.series) == first.scores
    nightly_command(nightly)
    assert "nothing was asked" in capsys.readouterr().out
    assert engine.opened == 1
    assert [row.state for row in read_history(nightly.folder)] == ["new", "unchanged"]


def test_a_fall_fails_the_night_and_names_its_samples_until_it_is_accepted(
    nightly: NightlyParameters, engine: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    night(nightly)
    accept(nightly)
    engine.says = WORSE
    with pytest.raises(DropError, match=r"1 of 1 fell by more than is tolerated: .*vIoU .*; fell: .* 1\.00 to 0\.2\d"):
        nightly_command(nightly, as_json=True)
    [told] = json.loads(capsys.readouterr().out)["series"]
    assert (told["state"], len(told["comparison"]["changed"])) == ("dropped", 2)
    first, second = read_history(nightly.folder)
    assert [first.state, second.state] == ["new", "dropped"]
    assert second.low <= second.difference <= second.high < -50
    assert second.mean == pytest.approx(first.mean + second.difference)
    accept(nightly)
    night(nightly).check()
    assert engine.opened == 2


def test_a_protocol_without_places_is_followed_by_its_times(sweep_of: Callable[..., NightlyParameters], engine: Any) -> None:
    asked = sweep_of(('["marked", "unmarked"]', '["unmarked"]'), ONE[1], model=NightlyParameters)
    first = only(night(asked))
    assert (first.scores.metric, first.scores.mean > 0) == ("tIoU", True)
    accept(asked)
    engine.says = WORSE
    fallen = only(night(asked))
    assert fallen.state == "dropped"


def test_a_change_within_the_tolerance_holds(nightly: NightlyParameters, engine: Any) -> None:
    night(nightly)
    accept(nightly)
    engine.says = WORSE
    run = night(nightly.model_copy(update={"tolerance": 90.0}))
    assert only(run).state == "passed"
    run.check()


def test_what_was_accepted_by_another_convention_is_not_compared(
    nightly: NightlyParameters, sweep_of: Callable[..., NightlyParameters]
) -> None:
    night(nightly)
    accept(nightly)
    other = sweep_of(
        *ONE, ("decoding.max_tokens = 8", 'decoding.max_tokens = 8\nconventions = "tubedetr"'), model=NightlyParameters
    )
    nights = night(other)
    assert only(nights).state == "incomparable"
    with pytest.raises(NightlyError, match=r"accepted is vIoU of spatio-temporal by 'paper', this is .* by 'tubedetr'"):
        nights.check()


def test_another_decoding_is_another_series(nightly: NightlyParameters, sweep_of: Callable[..., NightlyParameters]) -> None:
    night(nightly)
    accept(nightly)
    longer = only(night(sweep_of(*ONE, ("decoding.max_tokens = 8", "decoding.max_tokens = 9"), model=NightlyParameters)))
    assert longer.state == "new"


def test_results_that_are_not_there_cannot_be_accepted_and_a_damaged_record_is_named(nightly: NightlyParameters) -> None:
    with pytest.raises(NightlyError, match="tiny/own/marked/built has no results yet: run `stvg nightly"):
        accept(nightly)
    first = only(night(nightly))
    accept(nightly)
    [name] = nightly.folder.names("accepted-*.json")
    nightly.folder.write(name, nightly.folder.read(name).replace(b'"lost": 0', b'"lost": 1'))
    damaged = only(night(nightly))
    assert damaged.state == "incomparable"
    assert f"accept the results of {first.series} again" in damaged.reason


def test_a_series_that_could_not_be_asked_fails_the_night(nightly: NightlyParameters) -> None:
    def opener(*_: Any) -> Any:
        raise EngineError("the GPU is gone")

    nights = run_nightly(nightly, RayBackend(run_here, opener), no_progress)
    with pytest.raises(EngineError, match="failed: the GPU is gone"):
        nights.check()


def test_a_benchmark_whose_truth_is_not_public_is_compared_with_nothing(
    nightly: NightlyParameters, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rl.evaluation.sweep.has_truth", lambda *_: False)
    run = night(nightly)
    assert only(run).state == "incomparable"
    with pytest.raises(NightlyError, match="the truth of 'own' is not public, so that nothing can be scored"):
        run.check()
    assert engine.opened == 0
