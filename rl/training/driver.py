"""Driver of a training: `python -m rl.training.driver FOLDER` trains to the end, and resumes where it stopped.

It joins the Ray cluster of RAY_ADDRESS, as a Ray Job does, or starts a local Ray. verl's trainer runs in this very process: one
process less imports torch, and errors arrive unchanged. Between verl's lines it prints the events of `rl.training.events`. An
error is one sentence on standard error, after the traceback of its cause, and an exit code: 1 the training broke, 2 it cannot
be started.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rl.models.trained import MODEL
from rl.training.checkpoints import FAILURES, append_metrics, remove_incomplete, rewind
from rl.training.events import EndEvent, StepEvent, print_driver_event
from rl.training.merge import publish_model
from rl.training.plan import RunPlan, plan_run
from rl.training.recipe import SftRecipe
from rl.training.records import Lineage, read_lineage, read_run, write_lineage
from rl.training.reward import reward_failure
from rl.verl.errors import TrainingError
from rl.verl.metrics import OnStep, StepMetrics
from storage.common.errors import StvgError
from storage.folders.files import file_lock
from tasks.weights import find_weights

_PACKAGES = ("verl", "torch", "transformers", "ray", "vllm")
_DISK_FULL = ("No space left on device", "PytorchStreamWriter failed", "unexpected pos")
"""Messages of a full disk, of Python and of torch."""


def train_to_end(folder: Path) -> Lineage:
    """Train to the end, from the last complete checkpoint, and publish the model.

    Args:
        folder: of the training, with its request.

    Raises:
        InputError: the training cannot be started; the subclass says why.
        BusyError: another process trains in this folder.
        TrainingError: the training broke.
    """
    run = read_run(folder)
    with file_lock(folder / ".lock", str(folder)):
        if (lineage := read_lineage(folder)) is not None:
            return lineage
        plan = plan_run(folder, run)
        try:
            if (start := rewind(folder)) < plan.steps:
                _fit(plan, start)
            publish_model(folder, run, plan.steps)
        except Exception as error:
            raise training_error(error, folder) from error
        return _end(plan)


def _fit(plan: RunPlan, start: int) -> None:
    """Train from the checkpoint of step `start` to the last step."""
    from rl.verl.session import set_training_environment, training_session

    platform = plan.recipe.system.platform
    environment = set_training_environment(platform)
    configure, train = _trainer(plan)
    config = configure(plan, start)

    def on_step(metrics: StepMetrics) -> None:
        append_metrics(plan.folder, metrics)
        print_driver_event(StepEvent(metrics=metrics))

    with training_session(platform, plan.recipe.batch.devices, environment):
        train(config, on_step)


def _trainer(plan: RunPlan) -> tuple[Callable[[RunPlan, int], Any], Callable[[Any, OnStep], None]]:
    """The functions that configure and run verl's trainer of a recipe."""
    if isinstance(plan.recipe, SftRecipe):
        from rl.training.sft import configure_sft, train_sft

        return configure_sft, train_sft
    from rl.training.grpo import configure_grpo, train_grpo

    return configure_grpo, train_grpo


def training_error(error: Exception, folder: Path) -> TrainingError:
    """The cause of a broken training as one sentence; incomplete checkpoints are removed.

    Args:
        error: exception that ended the training.
        folder: of the training.
    """
    if failure := reward_failure(folder / FAILURES):
        return TrainingError(f"the reward of an answer to '{failure.sample}' raised {failure.reason}")
    step, text = remove_incomplete(folder), str(error)
    if any(message in text for message in _DISK_FULL):
        return TrainingError(f"the disk of '{folder}' is full: make room, and the same command goes on from step {step}")
    if isinstance(error, TrainingError):
        return error
    last = [line for line in text.splitlines() if line.strip()][-1:] or [type(error).__name__]
    return TrainingError(f"the training broke: {last[0].strip()}")


def _end(plan: RunPlan) -> Lineage:
    assert plan.model.weights is not None
    lineage = Lineage(
        recipe_name=plan.run.recipe_name,
        recipe=plan.recipe,
        reward=plan.run.reward,
        dataset=plan.run.dataset,
        rows=tuple(rows.path.name for rows in plan.rows),
        base_sha256=plan.model.weights.sha256,
        steps=plan.steps,
        sha256=find_weights(str(plan.folder / MODEL)).sha256,
        versions={package: number for package in _PACKAGES if (number := _version(package))},
    )
    write_lineage(plan.folder, lineage)
    return lineage


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def main() -> None:
    """Train in the folder that the command line names."""
    folder = Path(sys.argv[1])
    try:
        lineage = train_to_end(folder)
    except StvgError as error:
        if error.__cause__ is not None:
            traceback.print_exception(error.__cause__)
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
        sys.exit(error.exit_code)
    print_driver_event(EndEvent(folder=str(folder), steps=lineage.steps, sha256=lineage.sha256))


if __name__ == "__main__":
    main()
