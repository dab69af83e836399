"""A table from nothing to its numbers and again, of a generated benchmark; and what it says of all that cannot be had."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer

from infra.cli.reproduce import reproduce_command
from infra.ray.backend import RayBackend
from rl.engines.base import EngineError
from rl.evaluation.samples import eval_samples
from rl.paper.comparison import Unavailable
from rl.paper.evaluations import evaluate_parts
from rl.paper.parameters import TABLES, ReproduceParameters
from rl.paper.plan import plan_table
from rl.paper.steps import run_step, stop_steps
from rl.paper.table import Reproduction
from storage.folders.folder import Folder
from storage.progress import OnProgress, Progress
from storage.reader import Dataset
from tasks.benchmarks.samples import Task
from tasks.build.parameters import BENCHMARKS, DatasetParameters
from tasks.build.rerender import rerender
from tasks.build.run import run_build, run_here

SETUP = """
[builds.hcstvg-v1]
benchmark = "sample"
videos = 1
"sampling.fps" = 0.2
error_budget = 1.0
[models]
"qwen2.5-vl-7b" = "tiny"
[evaluate]
decoding.max_tokens = 4
engine.device = "cpu"
"""


class Backend(RayBackend):
    """Renders in this process."""

    def rerender(self, base: Folder, parameters: DatasetParameters, on_progress: OnProgress) -> None:
        rerender(base, parameters, on_progress, run_here)


def states_of(table: Reproduction) -> list[str]:
    return [part.description for part in plan_table(table, Backend()).parts]


def states(table: Reproduction) -> dict[str, str]:
    return {part.row: part.description for part in plan_table(table, Backend()).parts}


def quiet(_progress: Progress) -> None:
    return None


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReproduceParameters:
    """Table 6 of a sample of one video and the tiny model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STVG_WEIGHTS", str(tmp_path / "weights"))
    (tmp_path / "reproduce.toml").write_text(SETUP)
    return ReproduceParameters.model_validate({"table": "table-6"})


@pytest.mark.heavy
def test_a_table_is_made_once_and_said_again(small: ReproduceParameters, capsys: pytest.CaptureFixture[str]) -> None:
    table = small.reproduction()
    states = states_of(table)
    assert states[:3] == ["to build, to render, to score", "to build, to render, to score", "to build, to score"]
    assert set(states[4:]) == {"to build, to render, to ask", "to build, to ask"}
    backend = Backend()
    assert [run_step(table, step, {}, backend, quiet) for step in table.steps] == [None] * 4
    found = evaluate_parts(table, {}, backend, quiet)
    assert set(found) == {part.key for part in table.parts}
    assert states_of(table) == ["to score"] * 4 + ["done"] * 4

    class Idle(Backend):
        def open_engine(self, *_: Any) -> Any:
            raise AssertionError("nothing is asked again")

    assert evaluate_parts(table, {}, Idle(), quiet).keys() == found.keys()
    reproduce_command(small, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads(Path("evaluations/tables/table-6.json").read_text())
    by_cell = {(cell["row"], cell["metric"]): cell for cell in told["cells"]}
    upper = by_cell["1/3, upper bound", "m_tIoU"]
    assert upper["measured"] == pytest.approx(12.5), "one good video of eight"
    assert upper["difference"] == pytest.approx(upper["measured"] - 100)
    assert upper["difference_interval"][0] <= upper["difference"] <= upper["difference_interval"][1]
    assert {cell["reason"] for cell in told["cells"]} == {""}
    assert len(told["results"]) == 4
    reproduce_command(small)
    shown = capsys.readouterr().out
    assert "1/3, upper bound" in shown
    assert "12.2 in table 5 and 13.4 in table 1" in shown


def test_what_broke_is_a_reason_and_fails_the_command_after_all_is_kept(
    small: ReproduceParameters, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any) -> None:
        raise EngineError("the GPU is gone")

    monkeypatch.setattr("infra.ray.backend.build_dataset", broken)
    with pytest.raises(typer.Exit):
        reproduce_command(small, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert {cell["reason"] for cell in told["cells"]} == {"the GPU is gone"}
    assert Path("evaluations/tables/table-6.json").is_file()


def test_what_cannot_be_had_says_why_and_fails_nothing(small: ReproduceParameters, capsys: pytest.CaptureFixture[str]) -> None:
    reproduce_command(small.model_copy(update={"table": "table-1"}), as_json=True)
    whys = {(cell["row"], cell["benchmark"]): cell["reason"] for cell in json.loads(capsys.readouterr().out)["cells"]}
    assert whys["TubeDETR", "hcstvg-v1"] == "somebody else's model: its number is theirs"
    assert "name its annotations and videos under [benchmarks.hcstvg-v2]" in whys["STVG-R1", "hcstvg-v2"]


def test_a_training_without_its_model_or_its_gpus_says_so(small: ReproduceParameters, tmp_path: Path) -> None:
    table = small.model_copy(update={"table": "4.5"}).reproduction()
    told = states(table)
    assert "[benchmarks.stvg-r1-train]" in told["coupled reward"]
    (tmp_path / "reproduce.toml").write_text(f"{SETUP}\n[builds.stvg-r1-train]\nbenchmark = 'sample'\n")
    again = states(small.model_copy(update={"table": "4.5"}).reproduction())
    assert again["coupled reward"].startswith("cannot run: the training needs 8 GPUs, and this machine has ")
    lost = tmp_path / "reproduce.toml"
    lost.write_text(lost.read_text().replace("tiny", "qwen2.5-vl-7b"))
    whole = states(small.reproduction())
    assert whole["1/3, upper bound"] == "to build, to score"
    assert "no weight file 'Qwen2.5-VL-7B-Instruct'" in whole["1/3, zero-shot"]


@pytest.mark.parametrize("name", list(TABLES))
def test_every_table_is_planned_where_nothing_is_there(small: ReproduceParameters, name: str) -> None:
    table = small.model_copy(update={"table": name, "file": "empty.toml"})
    Path("empty.toml").touch()
    found = states_of(table.reproduction())
    assert found
    assert all(state.startswith("cannot run: ") for state in found)


def test_a_part_lacks_what_a_step_before_lacked(small: ReproduceParameters) -> None:
    table = small.reproduction()
    lack = Unavailable("no disk")
    assert run_step(table, table.steps[1], {"hcstvg-v1": lack}, Backend(), quiet) == lack
    found = evaluate_parts(table, {"hcstvg-v1": lack}, Backend(), quiet)
    assert all(outcome == lack for outcome in found.values())


def test_a_stopped_table_stops_the_jobs_of_its_builds_and_fails_over_none(
    small: ReproduceParameters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "reproduce.toml").write_text(SETUP.replace("videos = 1", "videos = 1\nray = 'http://head:8265'"))
    stopped: list[str] = []
    monkeypatch.setattr("infra.ray.backend.stop_job", lambda parameters: stopped.append(parameters.name))
    stop_steps(small.reproduction(), Backend())
    assert stopped == ["hcstvg-v1"], "renders are of this process, and the others of a dataset that is not there"


@pytest.mark.heavy
def test_an_interval_that_is_annotated_in_frames_is_told_in_seconds(small: ReproduceParameters, tmp_path: Path) -> None:
    given = {"root": str(tmp_path), "videos": 1, "sampling": {"fps": 0.2}, "like": "st-align-svg", "error_budget": 1.0}
    build = BENCHMARKS["sample"].model_validate(given).build()
    run_build(build, run_here, quiet, 1.0)
    [asked] = eval_samples(Dataset(build.folder), {Task.SPATIAL})
    truth = json.loads((tmp_path / "sources" / "sample-1" / "annotations.json").read_text())["0_sample.mp4"]
    assert asked.span_s == pytest.approx((truth["st_time"], truth["ed_time"]), abs=1e-3)
