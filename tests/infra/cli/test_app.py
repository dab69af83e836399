from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def test_the_installed_command_says_what_the_function_says(tmp_path: Path, stvg: Any) -> None:
    command = [Path(sys.executable).with_name("stvg"), "build", "folder", "nowhere"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    same = stvg("build", "folder", "nowhere", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (same.returncode, same.stdout, same.stderr)
    assert same.returncode == 2


def test_bad_input_is_one_sentence_and_exit_code_2(tmp_path: Path, stvg: Any) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "wrong.json").write_text("[]")
    cases = [
        (("build", "folder", "nowhere"), "there is no folder of videos 'nowhere'"),
        (("plan", "folder", "empty"), "'empty' holds no video"),
        (("build", "hcstvg", "wrong.json", "empty"), "'wrong.json' is not HC-STVG"),
        (("inspect", "empty"), "empty holds no published dataset"),
        (("preview", "empty"), "empty holds no published dataset"),
        (("build", "folder", "empty", "--name", "../x"), "--name: "),
        (("check", "tvgbench", "wrong.json", "empty"), "'wrong.json' is not TVGBench"),
        (("score", "none.json"), "there is no case file 'none.json'"),
        (("score", "wrong.json"), "'wrong.json' holds no cases"),
        (("score", "wrong.json", "--convention", "mine"), "there is no convention 'mine'"),
        (("score", "empty", "none.jsonl"), "empty holds no published dataset"),
        (("quality", "empty"), "empty holds no published dataset"),
        (("evaluate", "nosuch", "--model", "tiny"), "datasets/nosuch holds no published dataset"),
        (("evaluate", "empty", "--model", "tiny"), "empty holds no published dataset"),
        (("evaluate", "empty", "--model", "tiny", "--protocol", "mine"), "there is no protocol 'mine': choose from marked"),
        (("evaluate", "empty", "--model", "tiny", "--conventions", "mine"), "there is no convention 'mine'"),
    ]
    for arguments, said in cases:
        done = stvg(*arguments, cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith("error: "), done.stderr
        assert said in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "datasets").exists(), "nothing is half-written"


def test_check_tells_what_is_missing_and_says_so_in_its_exit_code(tmp_path: Path, square_clip: Path, stvg: Any) -> None:
    (tmp_path / "videos").mkdir()
    shutil.copy(square_clip, tmp_path / "videos" / "a.mp4")
    lines = [{"video": name, "sentence": "It moves."} for name in ("a.mp4", "b.mp4")]
    (tmp_path / "own.jsonl").write_text("\n".join(map(json.dumps, lines)))
    done = stvg("check", "own", "own.jsonl", "videos", "--json", cwd=tmp_path)
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["videos"] == {"there": 1, "missing": 1}
    assert [video["video_id"] for video in told["not_as_stated"]] == ["b.mp4"]
    assert told["records"]["lines"] == 2
    shown = stvg("check", "own", "own.jsonl", "videos", cwd=tmp_path).stdout
    assert "docs/benchmarks.md" in shown
    assert "missing" in shown
    (tmp_path / "own.jsonl").write_text(json.dumps(lines[0]))
    assert stvg("check", "own", "own.jsonl", "videos", cwd=tmp_path).returncode == 0


def test_score_prints_a_case_files_report(tmp_path: Path, stvg: Any) -> None:
    tube = {"start_frame": 0, "end_frame": 1, "boxes": {"0": [0, 0, 4, 4], "1": [0, 0, 4, 4]}}
    case = {"sample_id": "a", "fps": 10, "frame_count": 20, "gt": tube, "pred": {**tube, "end_frame": 3}}
    (tmp_path / "cases.json").write_text(json.dumps({"cases": [case]}))
    told = json.loads(stvg("score", "cases.json", "--json", cwd=tmp_path).stdout)
    means = [told["metrics"][name]["mean"] for name in ("m_tIoU", "m_vIoU")]
    assert (told["convention"], told["samples"], *means) == ("paper", 1, 0.5, 0.5)
    assert "m_vIoU" in stvg("score", "cases.json", "--convention", "st_align", cwd=tmp_path).stdout


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path, square_clip: Path, stvg: Any) -> None:
    (tmp_path / "videos").mkdir()
    shutil.copy(square_clip, tmp_path / "videos" / "a.mp4")
    done = stvg("build", "folder", "videos", "--detector", "motion", "--root", "/sys/datasets", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: '/sys/datasets/folder' cannot be written: ")
    assert done.stderr.endswith("run the same command again: it goes on where it stopped\n")
    assert done.stderr.count("\n") == 1


def test_an_option_out_of_bounds_is_refused(tmp_path: Path, stvg: Any) -> None:
    done = stvg("build", "sample", "--markers.theta", "3", cwd=tmp_path)
    assert done.returncode == 2
    assert "theta" in done.stderr


HEAVY = {"torch", "ray", "prefect", "cv2", "decord", "ultralytics", "transformers", "av", "pyarrow", "numpy", "httpx", "psutil"}


def modules_of(*arguments: str) -> set[str]:
    """Top-level modules that a command imports."""
    script = "import sys; sys.argv[1:] = %r\ntry: __import__('infra.cli').cli.main()\nfinally: print('modules', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", script % (arguments,)], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("modules ")[2].split())


def test_help_imports_no_heavy_module() -> None:
    assert not (HEAVY | {"pydantic", "asyncio", "infra.cli.console"}) & modules_of("--help")


def test_the_help_of_a_command_imports_only_that_command() -> None:
    """The measure is CPU time, which a test cannot take; these modules are what made it long."""
    modules = modules_of("evaluate", "--help")
    assert not HEAVY & modules
    assert not {"infra.cli.build", "infra.cli.train", "infra.cli.reproduce"} & modules


@pytest.mark.heavy
def test_a_folder_of_videos_is_planned_built_and_inspected(tmp_path: Path, square_clip: Path, stvg: Any) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    shutil.copy(square_clip, videos / "a.mp4")
    (videos / "bad.mp4").write_text("not a video")
    options = ("folder", "videos", "--name", "mine", "--detector", "motion", "--json")
    plan = json.loads(stvg("plan", *options, cwd=tmp_path).stdout)
    assert plan["estimate"]["videos"] == 2
    refused = stvg("build", *options, cwd=tmp_path)
    assert refused.returncode == 3
    assert "1 of 2 videos were lost (quarantined: not_a_video 1)" in refused.stderr
    assert "stvg requeue datasets/mine --reason not_a_video --set error_budget=0.5 --yes" in refused.stderr
    before = json.loads(stvg("inspect", "datasets/mine", "--json", cwd=tmp_path).stdout)
    assert (before["counts"], before["lost"][0]["video_id"]) == ({"done": 1, "quarantined: not_a_video": 1}, "bad.mp4")
    built = stvg("build", *options, "--error-budget", "0.5", cwd=tmp_path)
    told = json.loads(built.stdout)
    assert told["counts"] == {"done": 1, "quarantined: not_a_video": 1}
    assert (tmp_path / told["preview"]).read_text().startswith("<!")
    again = json.loads(stvg("plan", *options, cwd=tmp_path).stdout)
    assert again["estimate"]["videos"] == 0
    whole = json.loads(stvg("inspect", "datasets/mine", "--json", cwd=tmp_path).stdout)
    assert [row["video_id"] for row in whole["lost"]] == ["bad.mp4"]
    video = json.loads(stvg("inspect", "datasets/mine", "--video", "a.mp4", "--json", cwd=tmp_path).stdout)
    assert video["frame_count"] == 40
    frame = json.loads(stvg("inspect", "datasets/mine", "--video", "a.mp4", "--frame", "20", "--json", cwd=tmp_path).stdout)
    assert frame["frame_index"] == 20
    assert stvg("inspect", "datasets/mine", "--video", "none", cwd=tmp_path).returncode == 2
    assert stvg("inspect", "datasets/mine", "--video", "a.mp4", "--frame", "99", cwd=tmp_path).returncode == 2
