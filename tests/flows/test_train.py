"""Trainings as a person starts them: Prefect -> Ray Job -> verl, killed, gone on with, merged, evaluated, swept."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from rl.training.checkpoints import read_metrics
from rl.training.parameters import TRAININGS
from rl.training.records import read_lineage
from storage.reader import Dataset

pytestmark = pytest.mark.heavy
RUN, TRACKER = "run", "checkpoints/latest_checkpointed_iteration.txt"


@pytest.fixture(scope="module")
def cluster(clusters: Any) -> Iterator[Any]:
    """One node with a slot that stands for a GPU."""
    with clusters(("--num-cpus", "16", "--num-gpus", "1")) as made:
        yield made


@pytest.fixture
def given(cluster: Any, trained_dataset: Dataset, tmp_path: Path) -> dict[str, Any]:
    """What a person fills in."""
    (tmp_path / "datasets" / "own").symlink_to(trained_dataset.folder.path)  # type: ignore[attr-defined]
    folders = {"dataset": str(trained_dataset.folder), "root": str(tmp_path / "datasets"), "out": str(tmp_path / "trainings")}
    return {
        **folders,
        "name": RUN,
        "validation": 0.4,
        "ray": cluster.address,
        "steps": 3,
        "evaluate": ["own"],
        "evaluations": str(tmp_path / "evaluations"),
    }


def drivers(folder: Path) -> list[psutil.Process]:
    """The processes that train in a folder."""
    told = psutil.process_iter(["cmdline"])
    return [p for p in told if str(folder) in (p.info["cmdline"] or ()) and "rl.training.driver" in p.info["cmdline"]]


def test_a_killed_training_goes_on_and_its_model_is_merged_registered_and_evaluated(
    server: Any, cluster: Any, given: dict[str, Any], tmp_path: Path
) -> None:
    folder = TRAININGS["sample"].model_validate(given).folder
    run = server.start("train-grpo/sample", **given)
    cluster.until(lambda: (folder / TRACKER).is_file() or ended(server, run), 400)
    for driver in drivers(folder):
        os.kill(driver.pid, signal.SIGKILL)
    state = cluster.until(lambda: ended(server, run), 400)
    shown = server.artifacts({"id": run})
    every = server.ask("artifacts/filter", {"flow_runs": {"id": {"any_": [run]}}})
    progress = max(artifact["data"] for artifact in every if artifact["key"] == "steps")
    assert state == "COMPLETED", "the task that follows the job is tried again, and goes on"
    steps = read_metrics(folder)
    assert [step.step for step in steps] == [1, 2, 3]
    assert all((step.pearson or 0) > 0.999 for step in steps)
    assert any((step.grad_norm or 0) > 0 for step in steps), "answers differ in what they are worth"
    assert all({"reward", "r_t", "r_s", "r_f", "kl", "loss"} <= set(step.model_dump(exclude_none=True)) for step in steps)
    made = read_lineage(folder)
    assert made is not None
    assert made.sha256 != made.base_sha256, "its weights changed"
    assert {"rows", "recipe", "steps", "curves", "last-steps", "lineage"} <= set(shown)
    assert progress == 100, "of the try that went on"
    assert "r_t" in shown["curves"]["data"]
    [results] = tmp_path.glob("evaluations/own/*/results.json")
    assert json.loads(results.read_text())["samples"] > 0, "the new model was evaluated"
    assert made.sha256 in json.dumps(shown["lineage"]["data"])


SWEEP = """
checkpoints = ["tiny"]
benchmarks = ["own"]
[evaluate]
decoding.max_tokens = 4
"""


def test_a_model_is_trained_on_true_answers_and_swept(server: Any, cluster: Any, given: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "sweep.toml").write_text(SWEEP)
    asked = {**given, "steps": 1, "evaluate": [], "sweep": str(tmp_path / "sweep.toml")}
    run = server.start("train-sft/sample", **asked)
    assert cluster.until(lambda: ended(server, run), 400) == "COMPLETED"
    folder = TRAININGS["sample-sft"].model_validate(asked).folder
    [step] = read_metrics(folder)
    assert (step.loss or 0) > 0
    made = read_lineage(folder)
    assert made is not None
    assert (made.recipe_name, made.reward) == ("sample-sft", None)
    assert made.sha256 != made.base_sha256, "its weights changed"
    [asked_of] = tmp_path.glob("evaluations/own/*/stage.json")
    assert made.sha256 in asked_of.read_text(), "the new model was asked, in place of the sweep's"


def ended(server: Any, run: str) -> str | None:
    """The state of a flow run, once it is final."""
    state = str(server.flow_run(run)["state_type"])
    return state if state in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"} else None
