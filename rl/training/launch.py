"""Running a training to its end: a local driver process, or a driver elsewhere that the caller passes in."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from rl.training.checkpoints import read_metrics
from rl.training.events import StepEvent, parse_event
from rl.training.records import Lineage, read_lineage
from rl.verl.errors import TrainingError, TrainingInputError
from rl.verl.metrics import OnStep, StepMetrics
from storage.common.processes import stop_process_tree
from storage.progress import Progress

LOG = "driver.log"
"""In a training's folder: the output of its local drivers, with the traceback of an error."""
DRIVER_ERRORS: Mapping[int, type[Exception]] = {1: TrainingError, 2: TrainingInputError}
"""Exit code of the driver -> type of its error."""

Driver = Callable[[Callable[[str], None]], None]
"""Runs or follows the driver of a training to its end, and passes on each line of its output."""


def driver_arguments(folder: Path) -> list[str]:
    """Arguments of Python that run the driver of a training.

    Args:
        folder: of the training.
    """
    return ["-m", "rl.training.driver", str(folder)]


def run_training(folder: Path, on_step: OnStep, driver: Driver | None = None) -> Lineage:
    """Train to the end, from the last complete checkpoint.

    Args:
        folder: of the training, prepared.
        on_step: called for each step, also for those of earlier drivers.
        driver: follows a driver elsewhere; by default the driver is a process on this machine.

    Returns:
        The lineage of the trained model, which lies in `model/`.

    Raises:
        TrainingError: the training broke; the same again resumes from its last complete checkpoint.
        TrainingInputError: the training cannot be started.
        Exception: whatever `driver` raises.
    """
    for metrics in read_metrics(folder):
        on_step(metrics)

    def on_line(line: str) -> None:
        if isinstance(event := parse_event(line), StepEvent):
            on_step(event.metrics)

    (driver or partial(run_local_driver, folder))(on_line)
    lineage = read_lineage(folder)
    if lineage is None:
        raise TrainingError(f"the training ended without a model in '{folder}': is that folder seen by the cluster?")
    return lineage


def step_progress(metrics: StepMetrics) -> Progress:
    """Progress of a training after a step."""
    return Progress("steps", metrics.step, metrics.total_steps)


def run_local_driver(folder: Path, on_line: Callable[[str], None]) -> None:
    """Run the driver as a process, which the kernel ends with this one.

    Args:
        folder: of the training; its `driver.log` receives all output.
        on_line: called with each line, without its line break.

    Raises:
        TrainingError, TrainingInputError: as the driver's exit code says; the message names the log.
    """
    command = ["setpriv", "--pdeathsig", "KILL", sys.executable, *driver_arguments(folder)]
    error = last_line = ""
    with (folder / LOG).open("a", encoding="utf-8") as log:
        driver = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        assert driver.stdout is not None
        try:
            for line in driver.stdout:
                log.write(line)
                on_line(line.rstrip())
                last_line = line.strip() or last_line
                error = last_line.removeprefix("error: ") if line.startswith("error: ") else error
            code = driver.wait()
        except BaseException:
            stop_process_tree(driver.pid)
            raise
    if code:
        signal = f"the driver was ended by signal {-code}" if code < 0 else f"the driver failed: {last_line}"
        raise DRIVER_ERRORS.get(code, TrainingError)(f"{error or signal} ('{folder / LOG}' has the details)")
