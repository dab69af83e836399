"""`stvg ground` as a person runs it, with a tiny model: files, cache, and what is said of bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rl.evaluation.ground.locate import GroundError
from rl.evaluation.ground.parameters import GroundParameters
from rl.evaluation.ground.run import run_ground
from storage.progress import Progress

ASK = ("It moves.", "--model", "tiny", "--decoding.max-tokens", "8", "--detector", "motion")


@pytest.mark.heavy
def test_a_tube_and_a_clip_come_out_and_are_kept(tmp_path: Path, square_clip: Path, stvg: Any) -> None:
    first = stvg("ground", str(square_clip), *ASK, "--json", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    told = json.loads(first.stdout)
    assert Path(tmp_path / told["clip"]).stat().st_size > 1000
    assert json.loads((tmp_path / told["path"]).read_text())["sentence"] == "It moves."
    assert told["engine"]["engine"] == "transformers"
    written = (tmp_path / told["path"]).stat().st_mtime_ns
    again = stvg("ground", str(square_clip), *ASK, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert told["path"] in again.stdout.replace("\n", "")
    assert "model" not in again.stderr, "no model is loaded for a question that was answered"
    assert (tmp_path / told["path"]).stat().st_mtime_ns == written


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("none.mp4", *ASK), "there is no video 'none.mp4'"),
        (("{clip}", "It moves.", "--model", "gpt"), "there is no model 'gpt'"),
        (("{clip}", *ASK, "--start-s", "3", "--end-s", "2"), "the section ends at 2 s and begins at 3 s"),
        (("{broken}", *ASK), "broken.mp4' cannot be used"),
        (("{clip}", *ASK, "--start-s", "60"), "begins after the video's end"),
        (("{clip}", *ASK, "--ray", "http://127.0.0.1:8265"), "grounding joins a cluster"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(
    tmp_path: Path, square_clip: Path, stvg: Any, arguments: tuple[str, ...], said: str
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    done = stvg("ground", *(argument.format(clip=square_clip, broken=broken) for argument in arguments), cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def parameters(video: Path, root: Path, **given: object) -> GroundParameters:
    values = {
        "model": "tiny",
        "decoding": {"max_tokens": 8},
        "detector": "motion",
        "root": str(root / "sets"),
        "out": str(root),
        **given,
    }
    return GroundParameters.model_validate({"video": str(video), "sentence": "It moves.", **values})


def test_sections_of_a_video_are_kept_apart_and_their_frames_alone_are_tracked(tmp_path: Path, square_clip: Path) -> None:
    whole, section = parameters(square_clip, tmp_path), parameters(square_clip, tmp_path, start_s=1, end_s=2)
    assert whole.folder != section.folder
    assert section.config().limits.max_duration_s == 2
    assert whole.config().limits.max_duration_s == 1200


def test_steps_are_told_in_order(tmp_path: Path, square_clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    steps: list[Progress] = []
    told = run_ground(parameters(square_clip, tmp_path), steps.append)
    assert [(step.stage, step.completed) for step in steps] == [
        ("objects", 0), ("frames", 1), ("model", 2), ("answer", 3), ("clip", 4), ("done", 5),
    ]  # fmt: skip
    other = parameters(square_clip, tmp_path, sentence="It stands.")
    steps.clear()
    assert run_ground(other, steps.append).path != told.path
    assert [step.stage for step in steps] == ["objects", "model", "answer", "clip", "done"], "masks and frames are kept"


def test_a_job_is_refused(tmp_path: Path, square_clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GroundError, match="give host:port"):
        run_ground(parameters(square_clip, tmp_path, ray="http://127.0.0.1:8265"), lambda _: None)
