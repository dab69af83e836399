"""A training's folder: complete and incomplete checkpoints, and the metrics of its steps.

verl writes the name of its last checkpoint into a file after all of the checkpoint is written. The folder of any other step may
be incomplete: it is never used, and is removed.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from rl.verl.errors import TrainingError
from rl.verl.metrics import StepMetrics
from storage.folders.open import folder_at

CHECKPOINTS, METRICS_FILE, FAILURES = "checkpoints", "metrics.jsonl", "failures"
_TRACKER = "latest_checkpointed_iteration.txt"
_STEP = "global_step_"


def last_step(folder: Path) -> int:
    """Step of the training's last complete checkpoint; 0 if it has none.

    Raises:
        TrainingError: the checkpoint that verl named is missing.
    """
    steps = _steps(folder)
    try:
        name = (folder / CHECKPOINTS / _TRACKER).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return 0
    # An empty name: the writer died while it wrote the name, after all of the newest checkpoint.
    step = int(name) if name.isdigit() else max(steps, default=0)
    if step and step not in steps:
        raise TrainingError(f"the checkpoint '{step_folder(folder, step)}' is gone: restore it, or start in a new folder")
    return step


def step_folder(folder: Path, step: int) -> Path:
    """Path of a step's checkpoint.

    Args:
        folder: of the training.
        step: number of the update, from 1.
    """
    return folder / CHECKPOINTS / f"{_STEP}{step}"


def remove_incomplete(folder: Path) -> int:
    """Remove all but the last complete checkpoint; returns its step."""
    step = last_step(folder)
    for other in set(_steps(folder)) - {step}:
        shutil.rmtree(step_folder(folder, other))
    return step


def rewind(folder: Path) -> int:
    """Bring a training's folder back to its last complete checkpoint, with the metrics of its steps; returns its step."""
    step = remove_incomplete(folder)
    shutil.rmtree(folder / FAILURES, ignore_errors=True)
    lines = [metrics.line() for metrics in read_metrics(folder) if metrics.step <= step]
    folder_at(folder).write(METRICS_FILE, "".join(lines).encode())
    return step


def _steps(folder: Path) -> list[int]:
    names = (path.name.removeprefix(_STEP) for path in (folder / CHECKPOINTS).glob(f"{_STEP}*"))
    return [int(name) for name in names if name.isdigit()]


def read_metrics(folder: Path) -> list[StepMetrics]:
    """Metrics of the steps so far, in order; a last line that is being written is left out."""
    try:
        text = (folder / METRICS_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [StepMetrics.model_validate(json.loads(line)) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def append_metrics(folder: Path, metrics: StepMetrics) -> None:
    """Append the metrics of a step to those of a training.

    Args:
        folder: of the training.
        metrics: of one step.
    """
    with (folder / METRICS_FILE).open("a", encoding="utf-8") as file:
        file.write(metrics.line())
