"""A sweep over marker settings: planned, run with an engine that says what it is told, and again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.cli.sweep import sweep_command
from infra.ray.backend import RayBackend
from infra.ray.engine_actors import replicated
from rl.engines.base import EngineError
from rl.evaluation.cells import Cell, CellResult, CellStatus
from rl.evaluation.parameters import SweepParameters
from rl.evaluation.report.scores import cell_table
from rl.evaluation.sweep import Sweep, SweepError
from rl.evaluation.sweep_run import SweepBackend, render_missing, render_timings, run_cells
from rl.models.families import ModelError
from rl.models.registry import find_model
from rl.training.recipes import RECIPES
from rl.training.records import DatasetRecord, Lineage, write_lineage
from storage.manifest import DatasetError
from storage.progress import no_progress
from tasks.build.parameters import BENCHMARKS
from tasks.build.run import run_build, run_here

BACKEND = RayBackend(run_here)


def run(sweep: Sweep, at_once: int = 1, backend: SweepBackend = BACKEND) -> list[CellResult]:
    return list(run_cells(sweep, sweep.statuses(), backend, at_once))


def states(sweep: Sweep) -> dict[Cell, str]:
    return {plan.cell: plan.state for plan in sweep.plan(sweep.statuses())}


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
    assert render_missing(sweep, BACKEND, no_progress) == 2
    assert (models.detected, models.opened) == calls, "nothing is detected or tracked again"
    assert set(states(sweep).values()) == {"to ask"}
    ran = run(sweep)
    assert engine.opened == 4
    assert [one.cell for one in ran] == [*marked, unmarked]
    rows = cell_table(ran)
    assert len({row["cell"] for row in rows}) == 4
    assert (rows[0]["cell"], rows[0]["task"], rows[0]["metric"]) == (
        "tiny/own/marked/built",
        "spatio-temporal (paper)",
        "m_tIoU",
    )
    assert 90 < float(rows[0]["mean"]) <= 100
    assert set(states(sweep).values()) == {"done"}
    renders = render_timings(sweep)
    assert [(one.dataset, one.clips) for one in renders] == [("own.size-40", 2), ("own.theta-0", 2)]
    assert all(0 < (one.seconds_per_clip or 0) < 60 for one in renders)


def test_a_finished_sweep_asks_nothing_and_says_the_same(
    sweep_of: Callable[..., SweepParameters], engine: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    parameters = sweep_of()
    render_missing(parameters.sweep(), BACKEND, no_progress)
    sweep_command(parameters, as_json=True)
    opened, first = engine.opened, json.loads(capsys.readouterr().out)
    sweep_command(parameters, as_json=True)
    second = json.loads(capsys.readouterr().out)
    assert engine.opened == opened == 4
    assert [cell.pop("evaluated") for cell in first["cells"]] == [True] * 4
    assert [cell.pop("evaluated") for cell in second["cells"]] == [False] * 4
    assert second == first
    sweep_command(parameters)
    assert "0 of 4 cells were evaluated" in capsys.readouterr().out


def test_a_setting_that_shows_the_same_is_the_same_evaluation(sweep_of: Callable[..., SweepParameters], engine: Any) -> None:
    sweep = sweep_of(('"markers.size" = 40', '"markers.size" = 20')).sweep()
    render_missing(sweep, BACKEND, no_progress)
    asked = {one.cell.markers: one.evaluated for one in run(sweep) if one.cell.protocol == "marked"}
    assert asked == {"built": True, "size-40": False, "theta-0": True}


def test_hours_come_from_earlier_predictions_and_are_unknown_without(
    sweep_of: Callable[..., SweepParameters], capsys: pytest.CaptureFixture[str]
) -> None:
    parameters = sweep_of()
    sweep_command(parameters, plan=True, as_json=True)
    assert {cell["gpu_hours"] for cell in json.loads(capsys.readouterr().out)["cells"]} == {None}
    sweep = parameters.sweep()
    render_missing(sweep, BACKEND, no_progress)
    [first, *_] = run(sweep)
    assert first.results is not None
    again = parameters.model_copy(update={"file": sweep_of(("decoding.max_tokens = 8", "decoding.max_tokens = 9")).file})
    sweep_command(again, plan=True, as_json=True)
    hours = {
        (plan["cell"]["protocol"], plan["cell"]["markers"]): plan["gpu_hours"]
        for plan in json.loads(capsys.readouterr().out)["cells"]
    }
    assert hours["marked", "theta-0"] == pytest.approx(2 * 2 / 3600), "two samples of two seconds"


def test_cells_at_once_say_what_they_say_one_by_one_and_a_failing_engine_fails_its_cell_alone(
    sweep_of: Callable[..., SweepParameters],
) -> None:
    sweep = sweep_of().sweep()
    render_missing(sweep, BACKEND, no_progress)

    def opener(parameters: Any, *rest: Any) -> Any:
        if parameters.protocol == "unmarked":
            raise EngineError("the GPU is gone")
        return replicated(parameters, *rest)

    ran = run(sweep, 3, RayBackend(run_here, opener))
    assert [one.reason for one in ran] == ["", "", "", "the GPU is gone"]
    assert cell_table(ran)[-1]["95 % interval"] == "the GPU is gone"
    datasets = [one.results.scores["paper"].dataset for one in ran if one.results]
    assert datasets == ["own", "own.size-40", "own.theta-0"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("checkpoints =", "checkpoint ="), "checkpoints: Field required"),
        (('["tiny"]', "[]"), "at least one checkpoint"),
        (("[evaluate]", "evaluate"), "is no sweep"),
    ],
)
def test_a_file_that_is_no_sweep_is_one_sentence(
    sweep_of: Callable[..., SweepParameters], change: tuple[str, str], said: str
) -> None:
    with pytest.raises(SweepError, match=said):
        sweep_of(change).sweep()


def test_a_benchmark_that_is_not_built_is_one_sentence(sweep_of: Callable[..., SweepParameters]) -> None:
    with pytest.raises(DatasetError, match="holds no published dataset"):
        sweep_of(('"own"', '"hcstvg-v1"')).sweep().statuses()


def test_how_far_a_cell_has_come_is_found_once(
    sweep_of: Callable[..., SweepParameters], monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters, looked = sweep_of(), list[Cell]()
    status = Sweep.status

    def counted(sweep: Sweep, cell: Cell) -> CellStatus:
        looked.append(cell)
        return status(sweep, cell)

    monkeypatch.setattr(Sweep, "status", counted)
    sweep_command(parameters, as_json=True)
    assert len(looked) == 4 + 2, "each once, and once more what was still to be rendered"
    looked.clear()
    sweep_command(parameters, as_json=True)
    assert len(looked) == 4


def test_a_checkpoint_of_unknown_origin_is_compared_with_nothing(
    sweep_of: Callable[..., SweepParameters], tmp_path: Path
) -> None:
    model = find_model("tiny").weights
    assert model is not None
    bare, run_folder = tmp_path / "bare", tmp_path / "run"
    shutil.copytree(model.path, bare)
    with pytest.raises(ModelError, match=r"nobody can tell where '.*bare' is from \(it has no checkpoint\.json\)"):
        sweep_of(('["tiny"]', f'["{bare}"]')).sweep().statuses()
    shutil.copytree(model.path, run_folder / "model")
    made = Lineage(
        recipe_name="sample",
        recipe=RECIPES["sample"],
        reward=None,
        dataset=DatasetRecord(),
        rows=(),
        base_sha256="",
        steps=1,
        sha256=model.sha256,
        versions={},
    )
    write_lineage(run_folder, made)
    known = sweep_of(('["tiny"]', f'["{run_folder / "model"}"]')).sweep()
    assert {status.reason for status in known.statuses().values()} == {""}
    write_lineage(run_folder, made.model_copy(update={"sha256": "another"}))
    with pytest.raises(ModelError, match=r"its weights are not those that its checkpoint\.json names"):
        known.statuses()


def test_a_benchmark_without_public_truth_says_what_to_build_instead(
    sweep_of: Callable[..., SweepParameters], tmp_path: Path, engine: Any
) -> None:
    parameters = sweep_of()
    (tmp_path / "hidden.jsonl").write_text(json.dumps({"video": "a.mp4", "sentence": "It moves.", "task": "segmentation"}))
    videos = str(tmp_path / "videos")
    given = {
        "annotations": str(tmp_path / "hidden.jsonl"),
        "videos": videos,
        "root": parameters.root,
        "name": "mevis",
        "detector": "motion",
    }
    run_build(BENCHMARKS["own"].model_validate(given).build(), run_here, lambda _: None, 0.0)
    sweep = sweep_of(('"own"', '"mevis"'), ('["marked", "unmarked"]', '["marked"]')).sweep()
    render_missing(sweep, BACKEND, no_progress)
    said = {one.reason for one in run(sweep)}
    assert said == {
        "the truth of 'mevis' is not public, so that nothing can be scored: "
        "build its split valid_u, with --masks mask_dict.json"
    }
    assert engine.opened == 0
