"""`stvg requeue`, `stvg replay` and `stvg gc`, as a person runs them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from storage.manifest import DatasetError
from storage.specification import BuildRequest, write_build_request
from tasks.build.parameters import BuildParameters, parameters_of


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    (tmp_path / "videos").mkdir()
    folder = tmp_path / "sets" / "mine"
    write_build_request(
        folder,
        BuildRequest("folder", {"videos": str(tmp_path / "videos"), "limits": {"max_duration_s": 3.0}, "pool": {"workers": 1}}),
    )
    return folder


def test_parameters_come_back_as_they_were_given_with_what_is_set(dataset: Path) -> None:
    parameters = parameters_of(str(dataset), {"limits.max_duration_s": "3600"})
    assert isinstance(parameters, BuildParameters)
    assert (parameters.limits.max_duration_s, parameters.pool.workers, parameters.detector.name) == (3600, 1, "nanodet-g")
    assert Path(parameters.root) / parameters.name == dataset


def test_a_benchmark_nobody_knows_is_refused(dataset: Path) -> None:
    write_build_request(dataset, BuildRequest("gone", {}))
    with pytest.raises(DatasetError, match="built from 'gone', which is no benchmark known here"):
        parameters_of(str(dataset))


def test_bad_input_is_one_sentence_and_exit_code_2(dataset: Path, tmp_path: Path, stvg: Any) -> None:
    cases = [
        (("requeue", "nowhere"), "'nowhere' has no build request (build.json)"),
        (("requeue", "sets/mine", "--set", "theta"), "--set theta: give it as parameter=value"),
        (("requeue", "sets/mine", "--set", "name=x"), "--set name: give it as parameter=value"),
        (("requeue", "sets/mine", "--set", "colour=red"), "--colour: Extra inputs are not permitted"),
        (("requeue", "sets/mine"), "holds no video"),
        (("replay", "nowhere", "a.mp4", "--stage", "masks"), "'nowhere' has no build request"),
        (("gc", "nowhere"), "'nowhere' has no build request"),
        (("gc", "videos"), "'videos' has no build request"),
    ]
    for arguments, said in cases:
        done = stvg(*arguments, cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith("error: "), done.stderr
        assert said in done.stderr
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "nowhere").exists()
    assert list((tmp_path / "videos").iterdir()) == [], "no lock where no dataset is"


@pytest.mark.heavy
def test_a_dataset_is_requeued_replayed_and_cleared(tmp_path: Path, clip_factory: Callable[..., Path], stvg: Any) -> None:
    frames = [np.roll(np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8), n, 1) for n in range(30)]
    clip_factory(tmp_path / "videos" / "short.mp4", frames[:10])
    clip_factory(tmp_path / "videos" / "long.mp4", frames)
    build = ("build", "folder", "videos", "--name", "mine", "--detector", "motion", "--pool.workers", "1", "--json")
    built = stvg(*build, "--limits.max-duration-s", "2", cwd=tmp_path)
    counts = json.loads(built.stdout)["counts"]
    assert counts["filtered: too_long"] == 1
    request = json.loads((tmp_path / "datasets" / "mine" / "build.json").read_text())
    assert (request["benchmark"], request["parameters"]["limits"]["max_duration_s"], len(request["stages"])) == ("folder", 2, 2)

    shown = stvg("requeue", "datasets/mine", cwd=tmp_path).stdout
    assert "too_long" in shown
    assert "long.mp4" in shown
    again = ("requeue", "datasets/mine", "--reason", "too_long", "--set", "limits.max_duration_s=60", "--json")
    asked = json.loads(stvg(*again, cwd=tmp_path).stdout)
    assert (asked["videos"], asked["left for stvg build"], "counts" in asked) == (1, 0, False)
    done = json.loads(stvg(*again, "--yes", cwd=tmp_path).stdout)
    assert "filtered: too_long" not in done["counts"]
    other = stvg("requeue", "datasets/mine", "--reason", "too_long", cwd=tmp_path)
    assert other.returncode == 2
    assert "no video ended for the reason 'too_long'" in other.stderr
    keys = stvg("requeue", "datasets/mine", "--set", "markers.size=40", cwd=tmp_path)
    assert keys.returncode == 2
    assert "the frames are others" in keys.stderr

    found = json.loads(stvg("replay", "datasets/mine", "long.mp4", "--stage", "masks", "--json", cwd=tmp_path).stdout)
    assert found["outcome"]["status"] == "done"
    assert [row["equal"] for row in found["differences"]] == [True] * len(found["differences"])
    assert "done" in stvg("replay", "datasets/mine", "short.mp4", "--stage", "masks", "--out", "x", cwd=tmp_path).stdout

    assert json.loads(stvg("gc", "datasets/mine", "--json", cwd=tmp_path).stdout)["files"] == []
    listed = json.loads(stvg("gc", "datasets/mine", "--older-than", "0", "--json", cwd=tmp_path).stdout)
    assert {row["kind"] for row in listed["files"]} <= {"old outcomes", "void shard"}
    assert any(row["kind"] == "old outcomes" for row in listed["files"])
    before = json.loads(stvg("inspect", "datasets/mine", "--json", cwd=tmp_path).stdout)
    assert json.loads(stvg("gc", "datasets/mine", "--older-than", "0", "--yes", "--json", cwd=tmp_path).stdout)["removed"]
    assert json.loads(stvg("inspect", "datasets/mine", "--json", cwd=tmp_path).stdout) == before
    assert json.loads(stvg("gc", "datasets/mine", "--older-than", "0", "--json", cwd=tmp_path).stdout)["files"] == []
    assert json.loads(stvg("inspect", "datasets/mine", "--verify", "--json", cwd=tmp_path).stdout) == {"damaged": []}
    last = json.loads(stvg(*build, "--limits.max-duration-s", "60", cwd=tmp_path).stdout)
    assert last["content_hash"] == before["content_hash"]
    table = next((tmp_path / "datasets" / "mine").glob("masks-*/shard-*.videos.parquet"))
    table.write_bytes(table.read_bytes()[:-1] + b"x")
    verified = stvg("inspect", "datasets/mine", "--verify", cwd=tmp_path)
    assert (verified.returncode, table.name in verified.stdout) == (1, True)
    read = stvg("inspect", "datasets/mine", "--video", "short.mp4", cwd=tmp_path)
    assert read.returncode == 2
    assert "is damaged" in read.stderr


def test_a_dataset_of_an_earlier_version_is_migrated(tmp_path: Path, stvg: Any) -> None:
    shutil.copytree(Path(__file__).parents[2] / "fixtures" / "legacy" / "datasets" / "own", tmp_path / "own")
    first, again = (json.loads(stvg("migrate", "own", "--json", cwd=tmp_path).stdout) for _ in range(2))
    assert sorted(key.partition("-")[0] for key in first["stages"]) == ["frames", "masks"]
    assert again["stages"] == {}
    assert "holds no dataset" in stvg("migrate", "nowhere", cwd=tmp_path).stderr
