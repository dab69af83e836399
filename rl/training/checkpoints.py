"""A run's folder: which checkpoint is whole, what its steps told, and the model that came of it, with where it is from.

verl names its last checkpoint in a file, written when all of it is there. Any other folder of a step may be half-written:
it is never taken, and removed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rl.models.families import ModelError
from rl.training.errors import TrainingError
from storage.folders.open import folder_at, write_json
from storage.records import parsed, sealed

CHECKPOINTS, METRICS, FAILURES, MODEL, LINEAGE = "checkpoints", "metrics.jsonl", "failures", "model", "checkpoint.json"
OnStep = Callable[[Mapping[str, Any]], None]
"""Is given what a step told, after its update of the weights and before its checkpoint."""
_TRACKER = "latest_checkpointed_iteration.txt"
_STEP = "global_step_"


@dataclass(frozen=True)
class Lineage:
    """Where a trained model is from; written last, so that a run that has it is done.

    Attributes:
        recipe, values: name, and every value.
        reward, appears: variant of the reward.
        dataset: of the prompts: `path`, `content_hash`.
        rows: names of the prompts' folders, each made of all that shapes them.
        base: sha256 of the model that was trained.
        steps: updates of its weights.
        sha256: of the model that came of it.
        versions: of what computed it.
    """

    recipe: str
    values: Mapping[str, Any]
    reward: str
    appears: str
    dataset: Mapping[str, Any]
    rows: tuple[str, ...]
    base: str
    steps: int
    sha256: str
    versions: Mapping[str, str]


def last_step(folder: Path) -> int:
    """Step of the run's last whole checkpoint; 0 if it has none.

    Raises:
        TrainingError: the checkpoint that is named is gone.
    """
    steps = _steps(folder)
    try:
        named = (folder / CHECKPOINTS / _TRACKER).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return 0
    # An empty name: the writer died over it, having written all of the newest.
    step = int(named) if named.isdigit() else max(steps, default=0)
    if step and step not in steps:
        raise TrainingError(f"the checkpoint '{step_folder(folder, step)}' is gone: restore it, or start in a new folder")
    return step


def step_folder(folder: Path, step: int) -> Path:
    """Where the checkpoint of a step is."""
    return folder / CHECKPOINTS / f"{_STEP}{step}"


def sweep(folder: Path) -> int:
    """Remove what is not the last whole checkpoint; returns its step."""
    step = last_step(folder)
    for other in set(_steps(folder)) - {step}:
        shutil.rmtree(step_folder(folder, other))
    return step


def rewind(folder: Path) -> int:
    """Bring a run's folder back to its last whole checkpoint, with the lines of its steps; returns its step."""
    step = sweep(folder)
    shutil.rmtree(folder / FAILURES, ignore_errors=True)
    kept = [json.dumps(told) + "\n" for told in read_steps(folder) if told["step"] <= step]
    folder_at(folder).write(METRICS, "".join(kept).encode())
    return step


def _steps(folder: Path) -> list[int]:
    found = (path.name.removeprefix(_STEP) for path in (folder / CHECKPOINTS).glob(f"{_STEP}*"))
    return [int(step) for step in found if step.isdigit()]


def read_steps(folder: Path) -> list[dict[str, Any]]:
    """What each step told so far, in order; a last line that is being written is left out."""
    try:
        text = (folder / METRICS).read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def write_lineage(folder: Path, lineage: Lineage) -> None:
    """Say that a run is done."""
    write_json(folder_at(folder), LINEAGE, sealed(asdict(lineage)))


def lineage(folder: Path) -> Lineage | None:
    """Where the run's model is from; None while it is not done.

    Raises:
        ModelError: the file is damaged.
    """
    try:
        return parsed(Lineage, (folder / LINEAGE).read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ModelError(f"{folder}/{LINEAGE} is damaged ({error}): train anew") from error


def trained_model(folder: Path) -> Path:
    """The model that a run made.

    Raises:
        ModelError: the run is not done.
    """
    if lineage(folder) is None:
        raise ModelError(f"the training in '{folder}' has not ended: run it to its end, then name it")
    return folder / MODEL
