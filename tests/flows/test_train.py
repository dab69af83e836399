"""A training as a person starts it: Prefect -> Ray Job -> verl, killed, gone on with, merged, evaluated."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from infra.training import TRAININGS
from rl.training.checkpoints import lineage, read_steps
from storage.reader import Dataset

pytestmark = pytest.mark.heavy
RUN = "run"


@pytest.fixture(scope="module")
def cluster(clusters: Any) -> Iterator[Any]:
    """One node with a slot that stands for a GPU."""
    with clusters(("--num-cpus", "16", "--num-gpus", "1")) as made:
        yield made


@pytest.fixture
def given(cluster: Any, trained_dataset: Dataset, tmp_path: Path) -> dict[str, Any]:
    """What a person fills in."""
    folders = {"dataset": str(trained_dataset.folder), "root": str(tmp_path / "datasets"), "out": str(tmp_path / "trainings")}
    return {**folders, "name": RUN, "validation": 0.4, "ray": cluster.address, "changes": "save_every=1", "steps": 3}


def drivers(folder: Path) -> list[psutil.Process]:
    """The processes that train in a folder."""
    told = psutil.process_iter(["cmdline"])
    return [p for p in told if str(folder) in (p.info["cmdline"] or ()) and "rl.training.run" in p.info["cmdline"]]


def test_a_killed_training_goes_on_and_its_model_is_merged_registered_and_evaluated(
    server_factory: Any, cluster: Any, given: dict[str, Any], tmp_path: Path
) -> None:
    folder = TRAININGS["sample"].model_validate(given).folder
    server = server_factory(cluster.env)
    first = server.start("train-grpo/sample", **given)
    cluster.until(lambda: (folder / "checkpoints" / "latest_checkpointed_iteration.txt").is_file(), 300)
    for driver in drivers(folder):
        os.kill(driver.pid, signal.SIGKILL)
    ended = cluster.until(lambda: server.flow_run(first)["state_type"] in {"COMPLETED", "FAILED"} and server.flow_run(first), 400)
    assert ended["state_type"] == "COMPLETED", "the task that follows the job is tried again, and goes on"
    assert [step["step"] for step in read_steps(folder)] == [1, 2, 3]
    assert all(step["pearson"] > 0.999 for step in read_steps(folder))
    assert all({"reward", "r_t", "r_s", "r_f", "kl", "loss"} <= set(step) for step in read_steps(folder))
    made = lineage(folder)
    assert made is not None
    assert made.sha256 != made.base, "its weights changed"
    shown = server.artifacts({"id": first})
    assert {"rows", "recipe", "steps", "curves", "last-steps", "lineage"} <= set(shown)
    assert shown["steps"]["data"] == 100
    assert "r_t" in shown["curves"]["data"]
    assert made.sha256 in json.dumps(shown["lineage"]["data"])
