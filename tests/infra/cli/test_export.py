"""`stvg export` and `stvg import`, as they are typed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from storage.folders.open import folder_at
from storage.reader import Dataset
from tasks.benchmarks.folder import read_folder
from tasks.build.plan import Build
from tasks.build.run import run_build, run_here
from tasks.build.stages import BuildConfig


def test_what_cannot_be_exchanged_is_one_sentence_and_exit_code_2(tmp_path: Path, stvg: Any) -> None:
    (tmp_path / "empty").mkdir()
    cases = [
        (("export", "coco", "empty", "out"), "empty holds no published dataset"),
        (("import", "released", "empty", "empty"), "'empty' holds no masks in the layout 'released'"),
        (("import", "sa-v", "empty", "empty"), "'empty' holds no masks in the layout 'sa-v'"),
    ]
    for arguments, said in cases:
        done = stvg(*arguments, cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith("error: ")
        assert said in done.stderr
        assert done.stderr.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["empty"], "nothing is half-written"


@pytest.mark.heavy
def test_a_dataset_goes_out_and_comes_back(tmp_path: Path, square_clip: Path, models: Any, stvg: Any) -> None:
    (tmp_path / "videos").mkdir()
    shutil.copy(square_clip, tmp_path / "videos" / "a.mp4")
    build = Build(folder_at(tmp_path / "datasets" / "mine"), read_folder(tmp_path / "videos"), BuildConfig(detector="motion"))
    run_build(build, run_here, lambda _: None, 0.0)
    assert models.opened == 1
    told = json.loads(stvg("export", "released", "datasets/mine", "out/released", "--json", cwd=tmp_path).stdout)
    assert told["written"]["frames"] == 40
    refused = stvg("export", "hf", "datasets/mine", "out/hf", "--media", cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr == "error: 'hf' does not support --media: leave it out\n"

    options = ("released", "out/released", "videos", "--name", "again", "--pool.workers", 1, "--json")
    done = stvg("import", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["counts"] == {"done": 1}
    one, other = (Dataset(tmp_path / "datasets" / name) for name in ("mine", "again"))
    assert other.table("masks").equals(one.table("masks"))
    replayed = stvg("replay", "datasets/again", "a.mp4", "--stage", "masks", "--json", cwd=tmp_path)
    assert [row["equal"] for row in json.loads(replayed.stdout)["differences"]] == [True, True]
