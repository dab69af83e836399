"""Nights over a small sweep: what has not changed is not asked, what fell fails by its samples, and accepting is deliberate."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from infra.cli.nightly import accept_command, nightly_command
from infra.nightly import NightlyParameters, accept, accepted_of, check, history, run_nightly
from rl.engines.base import EngineError
from rl.evaluation.regression import DropError, NightlyError
from tasks.build.run import run_here

ONE = (('["marked", "unmarked"]', '["marked"]'), ("[markers.size-40]\nmarker_size = 40\n[markers.theta-0]\ntheta = 0\n", ""))
WORSE = "<think>It is red.</think><answer>Target ID: 1, Time range: 0.5 to 1.0</answer>"


def night(parameters: NightlyParameters) -> list[Any]:
    return run_nightly(parameters, lambda _: None, fan_out=run_here)


@pytest.fixture
def nightly(sweep_of: Callable[..., NightlyParameters]) -> NightlyParameters:
    """One series: the tiny model, marked."""
    return sweep_of(*ONE, model=NightlyParameters)


def test_nothing_is_compared_before_something_is_accepted_and_nothing_asked_while_nothing_changes(
    nightly: NightlyParameters, engine: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    [first] = night(nightly)
    assert (first.state, first.verdict, engine.opened) == ("new", None, 1)
    assert accepted_of(nightly.folder, first.series) is None
    accept_command(nightly)
    assert "add --yes" in capsys.readouterr().out
    assert accepted_of(nightly.folder, first.series) is None, "it was only told"
    accept_command(nightly, yes=True)
    assert accepted_of(nightly.folder, first.series) == first.now
    nightly_command(nightly)
    assert "nothing was asked" in capsys.readouterr().out
    assert engine.opened == 1
    assert history(nightly.folder).column("state").to_pylist() == ["new", "unchanged"]


def test_a_fall_fails_the_night_and_names_its_samples_until_it_is_accepted(
    nightly: NightlyParameters, engine: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    night(nightly)
    accept(nightly)
    engine.says = WORSE
    with pytest.raises(DropError, match=r"1 of 1 fell by more than is tolerated: .*vIoU .*; fell: .* 0\.9\d to 0\.2\d"):
        nightly_command(nightly, as_json=True)
    [told] = json.loads(capsys.readouterr().out)["nights"]
    assert (told["state"], len(told["verdict"]["changed"])) == ("dropped", 2)
    rows = history(nightly.folder).to_pylist()
    assert [row["state"] for row in rows] == ["new", "dropped"]
    assert rows[1]["low"] <= rows[1]["difference"] <= rows[1]["high"] < -50
    assert rows[1]["mean"] == pytest.approx(rows[0]["mean"] + rows[1]["difference"])
    accept(nightly)
    check(night(nightly))
    assert engine.opened == 2


def test_a_protocol_without_places_is_followed_by_its_times(sweep_of: Callable[..., NightlyParameters], engine: Any) -> None:
    asked = sweep_of(('["marked", "unmarked"]', '["unmarked"]'), ONE[1], model=NightlyParameters)
    [first] = night(asked)
    assert (first.now.metric, first.now.mean > 0) == ("tIoU", True)
    accept(asked)
    engine.says = WORSE
    [fallen] = night(asked)
    assert fallen.state == "dropped"


def test_a_change_within_the_tolerance_holds(nightly: NightlyParameters, engine: Any) -> None:
    night(nightly)
    accept(nightly)
    engine.says = WORSE
    [held] = night(nightly.model_copy(update={"tolerance": 90.0}))
    assert held.state == "held"
    check([held])


def test_what_was_accepted_by_another_convention_is_not_compared(
    nightly: NightlyParameters, sweep_of: Callable[..., NightlyParameters]
) -> None:
    night(nightly)
    accept(nightly)
    other = sweep_of(*ONE, ("max_tokens = 8", 'max_tokens = 8\nconventions = "tubedetr"'), model=NightlyParameters)
    nights = night(other)
    assert [one.state for one in nights] == ["incomparable"]
    with pytest.raises(NightlyError, match=r"accepted is vIoU of spatio-temporal by 'paper', this is .* by 'tubedetr'"):
        check(nights)


def test_another_decoding_is_another_series(nightly: NightlyParameters, sweep_of: Callable[..., NightlyParameters]) -> None:
    night(nightly)
    accept(nightly)
    [longer] = night(sweep_of(*ONE, ("max_tokens = 8", "max_tokens = 9"), model=NightlyParameters))
    assert longer.state == "new"


def test_results_that_are_not_there_cannot_be_accepted_and_a_damaged_record_is_named(nightly: NightlyParameters) -> None:
    with pytest.raises(NightlyError, match="tiny/own/marked/built has no results yet: run `stvg nightly"):
        accept(nightly)
    [first] = night(nightly)
    accept(nightly)
    [name] = nightly.folder.names("accepted-*.json")
    nightly.folder.write(name, nightly.folder.read(name).replace(b'"lost": 0', b'"lost": 1'))
    [damaged] = night(nightly)
    assert damaged.state == "incomparable"
    assert f"accept the results of {first.series} again" in damaged.why


def test_a_series_that_could_not_be_asked_fails_the_night(nightly: NightlyParameters) -> None:
    def ask(_parameters: Any, _evaluation: Any) -> dict[str, Any]:
        raise EngineError("the GPU is gone")

    nights = run_nightly(nightly, lambda _: None, ask, run_here)
    with pytest.raises(EngineError, match="failed: the GPU is gone"):
        check(nights)


def test_a_benchmark_whose_truth_is_not_public_is_compared_with_nothing(
    nightly: NightlyParameters, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.sweeps.has_truth", lambda *_: False)
    [one] = night(nightly)
    assert one.state == "incomparable"
    with pytest.raises(NightlyError, match="the truth of 'own' is not public, so that nothing can be scored"):
        check([one])
    assert engine.opened == 0
