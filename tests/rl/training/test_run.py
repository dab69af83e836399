"""A training from start to end: a full disk in mid-save, a kill after a save, the last step, the merged model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from rl.models import Model, ModelError, differences, shown_by
from rl.registry import find_model
from rl.training.checkpoints import Lineage, last_step, lineage, read_steps, step_folder, trained_model
from rl.training.plan import RowSettings
from rl.training.request import Training, read_training, write_training
from rl.training.rows import write_rows
from storage.reader import Dataset

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 600


@contextmanager
def started(run: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The driver in a session of its own; whatever happens, nothing of it is left."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "VERL_"))}
    env |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "rl.training.run", str(run)]
    with log.open("wb") as output:
        driver = subprocess.Popen(command, env=env, stdout=output, stderr=output, start_new_session=True)
    try:
        yield driver
    finally:
        family = (
            [psutil.Process(driver.pid), *psutil.Process(driver.pid).children(recursive=True)] if driver.poll() is None else []
        )
        if driver.poll() is None:
            os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()
        _, alive = psutil.wait_procs(family, timeout=30)
        for process in alive:
            process.kill()


def until(true: Callable[[], Any], driver: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert driver.poll() is None, log.read_text()[-4000:]
        assert time.monotonic() < deadline, log.read_text()[-4000:]
        time.sleep(0.05)


def made_of(run: Path) -> str:
    """The model that a run trains."""
    return read_training(run).model


@pytest.fixture
def run(trained_dataset: Dataset, tiny: Callable[[str], Model], tmp_path: Path) -> Path:
    """A run's folder: three steps of two prompts, four answers each."""
    weights = tiny("tiny-schooled").weights
    assert weights is not None
    rows = write_rows(trained_dataset, tiny("tiny-schooled"), RowSettings(), tmp_path / "rows")
    manifest = trained_dataset.manifest
    training = Training(
        "sample",
        str(weights.path),
        (str(rows.folder),),
        changes={"steps": 3, "max_answer_tokens": 64},
        dataset={"path": str(trained_dataset.folder), "content_hash": manifest.content_hash},
        shown=shown_by(manifest.stages["frames"].params["render"]),
    )
    folder = tmp_path / "run"
    folder.mkdir()
    write_training(folder, training)
    return folder


def test_a_training_survives_a_full_disk_and_a_kill(run: Path, trained_dataset: Dataset, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with started(run, log) as driver:  # the disk is full when the second checkpoint is written
        until(lambda: read_steps(run), driver, log)
        torn = step_folder(run, 2) / "actor" / "optim_world_size_1_rank_0.pt"
        torn.parent.mkdir(parents=True)
        torn.symlink_to("/dev/full")
        assert driver.wait(PATIENCE_S) == 1
    assert f"error: the disk of '{run}' is full: make room, and the same command goes on from step 1" in log.read_text()
    assert last_step(run) == 1
    assert not step_folder(run, 2).exists()
    with pytest.raises(ModelError, match="has not ended"):
        find_model(str(run))

    with started(run, log) as driver:  # killed once the second is whole, wherever the third step then is
        until(lambda: last_step(run) == 2, driver, log)
        os.killpg(driver.pid, signal.SIGKILL)
    assert "Resuming from" in log.read_text()

    with started(run, log) as driver:
        assert driver.wait(PATIENCE_S) == 0, log.read_text()[-4000:]
    check_steps(read_steps(run))
    check_model(run, trained_dataset)
    told = json.loads(next(line for line in log.read_text().splitlines() if line.startswith('{"trained"')))
    assert told["trained"]["steps"] == 3


def check_steps(steps: list[dict[str, Any]]) -> None:
    assert [step["step"] for step in steps] == [1, 2, 3], "each step is told once, whatever happened in between"
    assert all(step["pearson"] > 0.999 for step in steps), steps
    assert [step["lr"] for step in steps] == pytest.approx([2e-3 / 3, 1e-3 / 3, 0.0])
    for step in steps:
        assert step["reward"] == pytest.approx(step["r_t"] + step["r_s"] + step["r_f"])
        assert step["tokens_per_s"] > 0
    assert all(sum(step[part] for step in steps) > 0 for part in ("r_t", "r_f"))
    assert any(step["grad_norm"] > 0 for step in steps)


def check_model(run: Path, dataset: Dataset) -> None:
    from safetensors.torch import load_file

    made = lineage(run)
    assert isinstance(made, Lineage)
    assert made.dataset["content_hash"] == dataset.manifest.content_hash
    assert (made.recipe, made.reward, made.steps) == ("sample", "paper", 3)
    model, base = find_model(str(run)), find_model(made_of(run))
    assert model.weights is not None
    assert base.weights is not None
    assert (made.sha256, made.base) == (model.weights.sha256, base.weights.sha256)
    assert differences(model, dataset.manifest.stages["frames"].params["render"]) == []
    before, after = (load_file(folder / "model.safetensors") for folder in (base.weights.path, trained_model(run)))
    assert before.keys() == after.keys()
    assert sum(bool((before[name].to(after[name].dtype) != after[name]).any()) for name in after) > len(after) / 2
