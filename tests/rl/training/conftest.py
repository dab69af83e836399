"""A run's folder of small clips, and its driver as a process that can be killed."""

from __future__ import annotations

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

from rl.models.families import Model, rendering_values
from rl.rewards import RewardConfig
from rl.training.recipes import recipe_named
from rl.training.records import DatasetRecord, TrainingRun, write_run
from rl.training.rows import write_rows
from rl.training.selection import RowSettings
from storage.reader import Dataset
from tasks.build.stages import frames_parameters

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 600


class Driver:
    """Trains in a run's folder, in a session of its own; what it says is kept in a file beside the folder."""

    def __init__(self, run: Path) -> None:
        self.run, self.log, self.python = run, run.with_name(f"{run.name}.log"), sys.executable

    @contextmanager
    def started(self) -> Iterator[subprocess.Popen[bytes]]:
        """Whatever happens, nothing of it is left."""
        env = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "VERL_"))}
        env |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"}
        command = [self.python, "-m", "rl.training.driver", str(self.run)]
        with self.log.open("wb") as output:
            driver = subprocess.Popen(command, env=env, stdout=output, stderr=output, start_new_session=True)
        try:
            yield driver
        finally:
            end(driver)

    def until(self, true: Callable[[], Any], driver: subprocess.Popen[bytes]) -> None:
        """Wait; fails with the log's end if the driver has ended."""
        deadline = time.monotonic() + PATIENCE_S
        while not true():
            assert driver.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)

    def kill_once(self, true: Callable[[], Any]) -> None:
        """Start it, and kill it at a moment."""
        with self.started() as driver:
            self.until(true, driver)
            os.killpg(driver.pid, signal.SIGKILL)

    def finish(self) -> None:
        """Train to the end."""
        with self.started() as driver:
            assert driver.wait(PATIENCE_S) == 0, self.said()

    def said(self) -> str:
        """The end of what the last driver said."""
        return self.log.read_text()[-4000:]


def end(driver: subprocess.Popen[bytes]) -> None:
    family = []
    if driver.poll() is None:
        family = [psutil.Process(driver.pid), *psutil.Process(driver.pid).children(recursive=True)]
        os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    _, alive = psutil.wait_procs(family, timeout=30)
    for process in alive:
        process.kill()


@pytest.fixture
def driver_of(trained_dataset: Dataset, tiny: Callable[[str], Model], tmp_path: Path) -> Callable[..., Driver]:
    """The driver of a recipe with changes by dotted paths, that trains the schooled tiny model on three small videos."""

    def made(name: str, changes: dict[str, Any], steps: int) -> Driver:
        model = tiny("tiny-schooled")
        assert model.weights is not None
        rows = write_rows(trained_dataset, model, RowSettings(), tmp_path / "rows")
        manifest = trained_dataset.manifest
        recipe = recipe_named(name, changes)
        training = TrainingRun(
            recipe_name=name,
            recipe=recipe,
            model=str(model.weights.path),
            rows=(str(rows.path),),
            steps=steps,
            reward=RewardConfig() if recipe.kind == "grpo" else None,
            dataset=DatasetRecord(path=str(trained_dataset.folder), content_hash=manifest.content_hash),
            rendering=rendering_values(frames_parameters(trained_dataset)),
        )
        folder = tmp_path / "run"
        folder.mkdir()
        write_run(folder, training)
        return Driver(folder)

    return made
