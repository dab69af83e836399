"""The driver of a training: `python -m rl.training.run FOLDER`, and once more to go on where it stopped.

It joins the Ray cluster of RAY_ADDRESS, as a Ray Job does, or starts a Ray of its own. It prints verl's lines, and between
them JSON lines of steps and, last, of the model. An error is one sentence and an exit code: 1 the training broke, 2 it
cannot be started.
"""

from __future__ import annotations

import json
import sys
import traceback
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NoReturn

from rl.training.check import Checked, check
from rl.training.checkpoints import FAILURES, MODEL, Lineage, lineage, rewind, sweep, write_lineage
from rl.training.errors import TrainingError
from rl.training.merge import publish_model
from rl.training.request import read_training
from rl.training.reward import failure
from storage.common.errors import InputError
from storage.folders.files import exclusive
from tasks.weights import find_weights

_VERSIONS = ("verl", "torch", "transformers", "ray", "vllm")
_FULL = ("No space left on device", "PytorchStreamWriter failed", "unexpected pos")
"""What a full disk is called, by Python and by torch."""


def train(folder: Path) -> Lineage:
    """Train to the end, from where the run in this folder stopped, and publish the model.

    Raises:
        RecipeError, RewardError, RowsError, ModelError, WeightsError: what is asked for cannot be.
        BusyError: another process trains in this folder.
        TrainingError: it broke.
    """
    training = read_training(folder)
    with exclusive(folder / ".lock", str(folder)):
        if (made := lineage(folder)) is not None:
            return made
        checked = check(training)
        try:
            if (start := rewind(folder)) < checked.steps:
                from rl.training.fit import fit

                fit(folder, checked, start)
            publish_model(folder, training, checked.steps)
        except Exception as error:
            raise explained(error, folder) from error
        return _done(folder, checked)


def explained(error: Exception, folder: Path) -> TrainingError:
    """What broke a training, as one sentence; what it left half-written is removed."""
    if told := failure(folder / FAILURES):
        return TrainingError(told)
    step, text = sweep(folder), str(error)
    if any(sign in text for sign in _FULL):
        return TrainingError(f"the disk of '{folder}' is full: make room, and the same command goes on from step {step}")
    if isinstance(error, TrainingError):
        return error
    last = [line for line in text.splitlines() if line.strip()][-1:] or [type(error).__name__]
    return TrainingError(f"the training broke: {last[0].strip()}")


def _done(folder: Path, checked: Checked) -> Lineage:
    training = checked.training
    assert checked.model.weights is not None
    made = Lineage(
        recipe=training.recipe,
        values=asdict(checked.recipe),
        reward=training.reward,
        appears=training.appears,
        dataset=training.dataset,
        rows=tuple(rows.folder.name for rows in checked.rows),
        base=checked.model.weights.sha256,
        steps=checked.steps,
        sha256=find_weights(str(folder / MODEL)).sha256,
        versions={name: found for name in _VERSIONS if (found := _version(name))},
    )
    write_lineage(folder, made)
    return made


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def main() -> None:
    """Train in the folder that is named."""
    folder = Path(sys.argv[1])
    try:
        made = train(folder)
    except InputError as error:
        _fail(error, 2)
    except TrainingError as error:
        if error.__cause__ is not None:
            traceback.print_exception(error.__cause__)
        _fail(error, 1)
    print(json.dumps({"trained": {"folder": str(folder), "steps": made.steps, "sha256": made.sha256}}), flush=True)


def _fail(error: Exception, code: int) -> NoReturn:
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
