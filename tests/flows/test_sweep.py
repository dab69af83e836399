"""`sweep/file`, `nightly/benchmarks` and `reproduce/table-N` from a server, with a tiny model on two videos of squares."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tasks.build.parameters import BENCHMARKS
from tasks.build.run import run_build, run_here

pytestmark = pytest.mark.heavy

SWEEP = """
checkpoints = ["tiny"]
benchmarks = ["own"]
[evaluate]
decoding.max_tokens = 4
[markers.built]
[markers.theta-0]
"markers.theta" = 0
"""


@pytest.fixture
def parameters(tmp_path: Path, square_clip: Path, models: Any) -> dict[str, str]:
    """Of a sweep over a built dataset."""
    (tmp_path / "videos").mkdir()
    shutil.copy(square_clip, tmp_path / "videos" / "a.mp4")
    boxes = {str(frame): [10.0 + frame, 20, 50 + frame, 60] for frame in range(5, 26)}
    line = {"video": "a.mp4", "sentence": "It moves.", "span_s": [0.5, 2.5], "boxes": boxes}
    (tmp_path / "own.jsonl").write_text(json.dumps(line))
    given = {
        "annotations": str(tmp_path / "own.jsonl"),
        "videos": str(tmp_path / "videos"),
        "root": str(tmp_path / "sets"),
        "detector": "motion",
    }
    run_build(BENCHMARKS["own"](**given).build(), run_here, lambda _: None, 0.0)  # type: ignore[arg-type]
    (tmp_path / "sweep.toml").write_text(SWEEP)
    return {"file": str(tmp_path / "sweep.toml"), "root": str(tmp_path / "sets"), "out": str(tmp_path / "out")}


def test_a_sweep_and_a_night_run_from_a_server_and_bad_input_fails_at_once(server: Any, parameters: dict[str, str]) -> None:
    said, run = server.run("sweep/file", **parameters)
    assert run["state_type"] == "COMPLETED", said
    assert server.task_runs(run) == ["cells COMPLETED"]
    shown = server.artifacts(run)
    assert [row["state"] for row in json.loads(shown["plan"]["data"])] == ["to ask", "to render and ask"]
    cells = {row["cell"] for row in json.loads(shown["sweep"]["data"])}
    assert cells == {"tiny/own/marked/built", "tiny/own/marked/theta-0"}
    assert f"{parameters['out']}/sweep.html" in shown["report"]["data"]
    _, night = server.run("nightly/benchmarks", **parameters)
    assert night["state_type"] == "COMPLETED"
    shown = server.artifacts(night)
    assert f"{parameters['out']}/nightly/report.html" in shown["report"]["data"]
    rows = json.loads(shown["night"]["data"])
    assert [row["state"] for row in rows] == ["new", "new"]
    _, failed = server.run("sweep/file", **{**parameters, "file": "none.toml"})
    assert failed["state_type"] == "FAILED"
    assert "'none.toml' is no sweep" in failed["state"]["message"]


def test_a_table_of_which_nothing_can_be_had_says_why_and_one_that_does_not_exist_fails(server: Any, tmp_path: Path) -> None:
    (tmp_path / "setup.toml").touch()
    folders = {"file": str(tmp_path / "setup.toml"), "root": str(tmp_path / "sets"), "out": str(tmp_path / "out")}
    said, run = server.run("reproduce/table-11", **folders)
    assert run["state_type"] == "COMPLETED", said
    states = [told.rpartition(" ")[2] for told in server.task_runs(run)]
    assert states == ["COMPLETED"] * 5, "a plan, three datasets, answers"
    shown = server.artifacts(run)
    assert len(json.loads(shown["plan"]["data"])) == 3
    assert "report.html" in shown["report"]["data"]
    cells = json.loads(shown["table"]["data"])
    assert {cell["row"] for cell in cells} == {"w/o re-detection", "w/o backward tracking", "Full pipeline"}
    assert all("is not built" in cell["reason"] for cell in cells)
    assert json.loads((tmp_path / "out" / "tables" / "table-11.json").read_text())["cells"] == cells
    _, failed = server.run("reproduce/table-11", table="table-12", **folders)
    assert failed["state_type"] == "FAILED"
    assert "the paper has no table '12'" in failed["state"]["message"]
