"""A sweep over marker settings: planned, run with an engine that says what it is told, and again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.sweeping import plan_rows, render_missing, run_cells, score_rows, sweep_command
from infra.sweeps import Sweep, SweepParameters
from rl.engines.base import EngineError
from rl.sweep import Cell, SweepError
from storage.manifest import DatasetError
from tasks.build import run_here


def states(sweep: Sweep) -> dict[Cell, str]:
    standings = sweep.standings()
    return dict(zip(standings, (row["state"] for row in plan_rows(standings, dict.fromkeys(standings, 1))), strict=True))


def test_a_sweep_is_planned_renders_what_it_lacks_and_asks_each_cell_once(
    sweep_of: Callable[..., SweepParameters], models: Any, engine: Any
) -> None:
    sweep = sweep_of().sweep()
    marked = [Cell("tiny", "own", "marked", setting) for setting in ("built", "size-40", "theta-0")]
    unmarked = Cell("tiny", "own", "unmarked")
    assert states(sweep) == dict(
        zip([*marked, unmarked], ["to ask", "to render and ask", "to render and ask", "to ask"], strict=True)
    )
    calls = models.detected, models.opened
    assert render_missing(sweep, lambda _: None, run_here) == 2
    assert (models.detected, models.opened) == calls, "nothing is detected or tracked again"
    assert set(states(sweep).values()) == {"to ask"}
    ran = list(run_cells(sweep, 1))
    assert engine.opened == 4
    assert [one.cell for one in ran] == [*marked, unmarked]
    rows = score_rows(ran)
    assert len({row["cell"] for row in rows}) == 4
    assert (rows[0]["cell"], rows[0]["task"], rows[0]["metric"]) == (
        "tiny/own/marked/built",
        "spatio-temporal (paper)",
        "m_tIoU",
    )
    assert 90 < float(rows[0]["mean"]) <= 100
    assert set(states(sweep).values()) == {"done"}


def test_a_finished_sweep_asks_nothing_and_says_the_same(
    sweep_of: Callable[..., SweepParameters], engine: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    parameters = sweep_of()
    render_missing(parameters.sweep(), lambda _: None, run_here)
    sweep_command(parameters, as_json=True)
    opened, first = engine.opened, json.loads(capsys.readouterr().out)
    sweep_command(parameters, as_json=True)
    second = json.loads(capsys.readouterr().out)
    assert engine.opened == opened == 4
    assert [cell.pop("asked") for cell in first["cells"]] == [True] * 4
    assert [cell.pop("asked") for cell in second["cells"]] == [False] * 4
    assert second == first
    sweep_command(parameters)
    assert "0 of 4 cells were asked" in capsys.readouterr().out


def test_a_setting_that_shows_the_same_is_the_same_evaluation(sweep_of: Callable[..., SweepParameters], engine: Any) -> None:
    sweep = sweep_of(("marker_size = 40", "marker_size = 20")).sweep()
    render_missing(sweep, lambda _: None, run_here)
    asked = {one.cell.markers: one.asked for one in run_cells(sweep, 1) if one.cell.protocol == "marked"}
    assert asked == {"built": True, "size-40": False, "theta-0": True}


def test_hours_come_from_earlier_predictions_and_are_unknown_without(
    sweep_of: Callable[..., SweepParameters], capsys: pytest.CaptureFixture[str]
) -> None:
    parameters = sweep_of()
    sweep_command(parameters, plan=True, as_json=True)
    assert {cell["hours"] for cell in json.loads(capsys.readouterr().out)["cells"]} == {None}
    sweep = parameters.sweep()
    render_missing(sweep, lambda _: None, run_here)
    [first, *_] = run_cells(sweep, 1)
    assert first.results is not None
    again = parameters.model_copy(update={"file": sweep_of(("max_tokens = 8", "max_tokens = 9")).file})
    sweep_command(again, plan=True, as_json=True)
    hours = {(c["protocol"], c["markers"]): c["hours"] for c in json.loads(capsys.readouterr().out)["cells"]}
    assert hours["marked", "theta-0"] == pytest.approx(2 * 2 / 3600), "two samples of two seconds"


def test_cells_at_once_say_what_they_say_one_by_one_and_a_failing_engine_fails_its_cell_alone(
    sweep_of: Callable[..., SweepParameters],
) -> None:
    sweep = sweep_of().sweep()
    render_missing(sweep, lambda _: None, run_here)

    def ask(parameters: Any, _evaluation: Any) -> dict[str, Any]:
        if parameters.protocol == "unmarked":
            raise EngineError("the GPU is gone")
        return {"scores": {}, "path": parameters.dataset}

    ran = list(run_cells(sweep, 3, ask))
    assert [one.why for one in ran] == ["", "", "", "the GPU is gone"]
    assert score_rows(ran)[-1]["95 % interval"] == "the GPU is gone"
    assert [Path(one.results["path"]).name for one in ran if one.results] == ["own", "own.size-40", "own.theta-0"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("checkpoints =", "checkpoint ="), "checkpoints: Field required"),
        (('["tiny"]', "[]"), "at least one checkpoint"),
        (("[asking]", "asking"), "is no sweep"),
    ],
)
def test_a_file_that_is_no_sweep_is_one_sentence(
    sweep_of: Callable[..., SweepParameters], change: tuple[str, str], said: str
) -> None:
    with pytest.raises(SweepError, match=said):
        _ = sweep_of(change).sweep().cells


def test_a_benchmark_that_is_not_built_is_one_sentence(sweep_of: Callable[..., SweepParameters]) -> None:
    with pytest.raises(DatasetError, match="holds no published dataset"):
        sweep_of(('"own"', '"hcstvg-v1"')).sweep().standings()
