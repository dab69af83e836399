"""`stvg evaluate` on the built sample with a tiny model, as a person runs it, also when it is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from rl.models.registry import find_model

pytestmark = pytest.mark.heavy

STVG = Path(sys.executable).with_name("stvg")
ASK = ("evaluate", "sample", "--model", "tiny", "--decoding.max-tokens", "16", "--batch-size", "2", "--json")


def environment() -> dict[str, str]:
    return {**os.environ, "COLUMNS": "160", "NO_COLOR": "1", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, stvg: Any) -> Path:
    """A folder with `datasets/sample`, eight videos with their sentences."""
    folder = tmp_path_factory.mktemp("asking")
    done = stvg("build", "sample", "--videos", "8", "--error-budget", "0.6", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def predictions(folder: Path) -> list[dict[str, Any]]:
    """Every row without its times, in order."""
    files = sorted(folder.rglob("*.predictions.parquet"))
    rows = [row for file in files for row in pq.ParquetFile(file).read().to_pylist()]
    return sorted(({**row, "seconds": 0} for row in rows), key=lambda row: (row["video_id"], row["sample_id"]))


def killed(built: Path, out: str, parts: int) -> int:
    """Start an evaluation and kill it once `parts` batches are kept; returns the batches that were."""
    process = subprocess.Popen([STVG, *ASK, "--out", out], cwd=built, env=environment(), stdout=subprocess.DEVNULL)
    while len(list((built / out).rglob("parts/*.json"))) < parts and process.poll() is None:
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
    process.send_signal(signal.SIGKILL)
    process.wait()
    return len(list((built / out).rglob("parts/*.json")))


def test_a_run_killed_three_times_ends_with_the_predictions_of_an_undisturbed_one(built: Path, stvg: Any) -> None:
    done = stvg(*ASK, "--out", "undisturbed", cwd=built)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["samples"] == 8
    assert told["scores"]["paper"]["results"]["spatio-temporal"]["samples"] == 15, "broken videos count too"
    kept = [killed(built, "killed", parts) for parts in (1, 2, 3)]
    assert kept == sorted(kept)
    again = stvg(*ASK, "--out", "killed", cwd=built)
    assert again.returncode == 0, again.stderr
    rows = predictions(built / "killed")
    assert len(rows) == len({row["sample_id"] for row in rows}) == 8
    assert rows == predictions(built / "undisturbed")
    assert json.loads(again.stdout)["scores"] == told["scores"]


def test_replicas_on_ray_say_what_one_process_says_and_the_same_evaluation_is_gone_on_with(built: Path, stvg: Any) -> None:
    here = stvg(*ASK, "--out", "here", cwd=built)
    there = stvg(*ASK, "--out", "there", "--replicas", "2", cwd=built)
    assert there.returncode == 0, there.stderr
    assert predictions(built / "there") == predictions(built / "here")
    told = json.loads(there.stdout)
    assert told["scores"] == json.loads(here.stdout)["scores"]
    assert Path(told["path"]).relative_to("there") == Path(json.loads(here.stdout)["path"]).relative_to("here")


def test_captions_of_a_dataset_with_sentences_are_kept_once_a_clip_and_not_scored(built: Path, stvg: Any) -> None:
    done = stvg(*ASK, "--protocol", "caption", "--limit", "2", "--out", "captions", cwd=built)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["samples"], told["scores"]) == (2, {})
    rows = predictions(built / "captions")
    assert [row["answer"] for row in rows] == [row["texts"][0].strip() for row in rows]


def test_a_second_run_asks_nothing_and_says_the_same(built: Path, stvg: Any) -> None:
    first, second = (json.loads(stvg(*ASK, "--out", "twice", cwd=built).stdout) for _ in range(2))
    assert first == second


def test_predictions_are_scored_like_any_others(built: Path, stvg: Any) -> None:
    told = json.loads(stvg(*ASK, "--out", "scored", cwd=built).stdout)
    [file] = (built / "scored").rglob("shard-*.predictions.parquet")
    scored = json.loads(stvg("score", "datasets/sample", str(file), "--json", cwd=built).stdout)
    theirs, ours = (scores["results"]["spatio-temporal"] for scores in (scored, told["scores"]["paper"]))
    assert theirs["metrics"]["m_vIoU"]["mean"] == ours["metrics"]["m_vIoU"]["mean"]
    assert theirs["samples"] == ours["samples"]


def test_a_dataset_shown_otherwise_than_in_training_is_a_warning_or_with_strict_an_error(built: Path, stvg: Any) -> None:
    stvg(*ASK, "--limit", "1", cwd=built)
    (built / "mine").mkdir()
    tiny = find_model("tiny").weights
    assert tiny is not None
    for path in tiny.path.iterdir():
        (built / "mine" / path.name).symlink_to(path)
    (built / "mine" / "stvg.json").write_text(json.dumps({"markers.style": "upper"}))
    ask = ("evaluate", "sample", "--model", "mine", "--decoding.max-tokens", "4", "--limit", "1", "--json")
    warned = stvg(*ask, cwd=built)
    assert warned.returncode == 0
    assert "warning: markers.style is numbers in the dataset and was upper in the training of mine" in warned.stderr
    refused = stvg(*ask, "--strict", cwd=built)
    assert refused.returncode == 2
    assert "'sample' is not shown as 'mine' was trained" in refused.stderr


def test_an_unreachable_server_is_one_sentence_and_exit_code_1(built: Path, stvg: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STVG_SERVER_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("STVG_SERVER_KEY", "secret")
    done = stvg("evaluate", "sample", "--model", "tiny", "--engine", "openai", "--server.attempts", "1", cwd=built)
    assert done.returncode == 1
    assert "error: the server at http://127.0.0.1:9/v1 cannot be reached" in done.stderr
    assert "secret" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
