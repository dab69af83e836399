"""A training from its parameters, without Prefect: its rows, its folder, and its driver here or as a Ray Job."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

from infra.forms.evaluation import shown_in
from infra.forms.training import TrainParameters
from infra.ray import job as ray_job
from infra.ray.build_job import RefusedError
from infra.ray.client import code_version
from infra.sweeps import SweepParameters
from rl.models.families import shown_by
from rl.models.registry import find_model
from rl.training.check import check
from rl.training.checkpoints import Lineage, OnStep, lineage, read_steps
from rl.training.errors import TrainingError
from rl.training.recipe import Recipe, RecipeError
from rl.training.request import REQUEST, Training, read_training, write_training
from rl.training.rows import Record, write_rows
from storage.common.processes import stop_process_tree
from storage.folders.files import hash8

ROWS = "rows"
_ERRORS: Mapping[int, type[Exception]] = {1: TrainingError, 2: RefusedError}
"""Exit code of the driver -> what its sentence is raised as."""
_BYTES_A_WEIGHT = 12
"""Of a checkpoint: the weight and AdamW's two moments, float32."""


@dataclass(frozen=True)
class Prepared:
    """A training that can be started.

    Attributes:
        folder: of the run.
        training: what is asked for.
        recipe: what is computed.
        steps: of the whole training.
        record: what its rows are.
    """

    folder: Path
    training: Training
    recipe: Recipe
    steps: int
    record: Record


def prepare(parameters: TrainParameters) -> Prepared:
    """Make the rows, and find out what can be wrong before a process is started.

    Raises:
        DatasetError, ModelError, WeightsError, RecipeError, RewardError, RowsError, SweepError: something named is not there
            or unfit.
        RecipeError: the run's folder holds another training, or its disk has no room for the checkpoints.
    """
    model, dataset = find_model(parameters.model), parameters.data()
    following(parameters)  # what is to come after days is looked at now
    assert model.weights is not None
    rows = write_rows(dataset, model, parameters.rows(), parameters.folder.parent / ROWS)
    training = Training(
        recipe=parameters.recipe,
        model=str(model.weights.path.resolve()),
        rows=(str(rows.folder.resolve()),),
        changes=parameters.changed(),
        dataset={"path": str(dataset.folder), "content_hash": dataset.manifest.content_hash},
        shown=shown_by(shown_in(dataset)),
        **parameters.rewarded(),
    )
    checked = check(training)
    _claim(parameters.folder, training)
    _check_disk(parameters.folder, model.weights.path, checked.recipe)
    return Prepared(parameters.folder, training, checked.recipe, checked.steps, rows.record)


def following(parameters: TrainParameters) -> list[tuple[str, dict[str, Any]]]:
    """(deployment, its parameters) of what is asked of the new model: benchmarks, then a sweep.

    Raises:
        RecipeError: there is no such benchmark.
        SweepError: the file is no sweep's.
    """
    asked = {"model": str(parameters.folder), "root": parameters.root, "out": parameters.evaluations}
    made: list[tuple[str, dict[str, Any]]] = [(f"evaluate/{name}", asked) for name in parameters.benchmarks()]
    if parameters.sweep:
        given = {"file": str(Path(parameters.sweep).absolute()), "checkpoints": str(parameters.folder)}
        sweep = SweepParameters.model_validate({**given, "root": parameters.root, "out": parameters.evaluations})
        sweep.sweep()  # says what is wrong with the file
        made.append(("sweep/file", sweep.model_dump()))
    return made


def _claim(folder: Path, training: Training) -> None:
    """Take the run's folder, or find that it holds this very training."""
    if not (folder / REQUEST).is_file():
        write_training(folder, training)
    elif (there := read_training(folder)) != training:
        other = next(name for name, value in asdict(there).items() if value != asdict(training)[name])
        raise RecipeError(f"'{folder}' holds a training with another {other}: give this one a --name of its own")


def _check_disk(folder: Path, model: Path, recipe: Recipe) -> None:
    needed = (recipe.keep + 1) * _BYTES_A_WEIGHT * _weights(model)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise RecipeError(f"checkpoints need {needed / 1e9:.0f} GB, and the disk of '{folder}' has {free / 1e9:.0f} GB free")


def _weights(model: Path) -> int:
    """Numbers in a model's files, by their headers."""
    return sum(_in_header(path) for path in model.glob("*.safetensors"))


def _in_header(path: Path) -> int:
    with path.open("rb") as file:
        header: dict[str, Any] = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")


def run_training(parameters: TrainParameters, prepared: Prepared, on_step: OnStep) -> Lineage:
    """Train to the end, from the last whole checkpoint, and return where the model is from; it lies in `model/`.

    Raises:
        TrainingError: it broke; the same again goes on from its last whole checkpoint.
        RefusedError: it cannot be started.
        ClusterError, BusyError, JobError: as `ray_job.follow` does.
    """
    for step in read_steps(prepared.folder):
        on_step(step)

    def read(line: str) -> None:
        if line.startswith('{"step": '):
            on_step(json.loads(line)["step"])

    if parameters.ray:
        ray_job.follow(job_of(parameters), read)
    else:
        _here(prepared.folder, read)
    made = lineage(prepared.folder)
    if made is None:
        raise TrainingError(f"the training ended without a model in '{prepared.folder}': is that folder seen by the cluster?")
    return made


def job_of(parameters: TrainParameters) -> ray_job.Job:
    """A training as work for a cluster."""
    folder = str(parameters.folder)
    command = ["python", "-m", "rl.training.run", folder]
    stem = f"stvg-train-{parameters.folder.name}-{hash8([folder, parameters.changed(), code_version()])}-"
    return ray_job.Job(parameters.ray, stem, folder, command, parameters.hours, _ERRORS)


def _here(folder: Path, on_line: Callable[[str], None]) -> None:
    """Run the driver as a process of its own, which the kernel ends with this one."""
    command = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "rl.training.run", str(folder)]
    with (folder / "driver.log").open("a", encoding="utf-8") as log:
        driver = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        try:
            last = _read(driver, log.write, on_line)
            code = driver.wait()
        except BaseException:
            stop_process_tree(driver.pid)
            raise
    if code:
        sentence = last.removeprefix("error: ") or f"the driver was ended by signal {-code}"
        raise _ERRORS.get(code, TrainingError)(f"{sentence} ('{folder}/driver.log' tells more)")


def _read(driver: subprocess.Popen[str], write: Callable[[str], Any], on_line: Callable[[str], None]) -> str:
    """Pass on every line until the end; returns the driver's own sentence, empty without one."""
    assert driver.stdout is not None
    sentence = ""
    for line in driver.stdout:
        write(line)
        on_line(line.strip())
        sentence = line.strip() if line.startswith("error: ") else sentence
    return sentence
