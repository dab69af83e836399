"""A build as a Ray Job: both ends of it.

Here it is submitted and followed; there the same build runs, and tells its log JSON lines of progress and, last, of what
was published.
"""

from __future__ import annotations

import json
import platform
from dataclasses import asdict

from infra.ray import job as ray_job
from infra.ray.build import BuiltDataset
from infra.ray.client import code_version
from infra.ray.poison import WorkerError
from storage.common.errors import InputError
from storage.folders.files import hash8
from storage.outcomes import BudgetError
from storage.progress import OnProgress, Progress
from tasks.build.parameters import DatasetParameters


class RefusedError(InputError):
    """The input cannot be used, as the job on the cluster found."""


_ERRORS = {1: WorkerError, 2: RefusedError, 3: BudgetError}
"""Exit code of the job's command -> what its sentence is raised as."""
_TOLD: dict[str, type[Progress | BuiltDataset]] = {"progress": Progress, "built": BuiltDataset}


def run_job(parameters: DatasetParameters, on_progress: OnProgress) -> BuiltDataset:
    """Build on a cluster, by a job that is submitted now or at work already.

    Raises:
        ClusterError, BusyError, JobError: as `ray_job.follow` does.
        RefusedError, WorkerError, BudgetError: what the build itself raised there.
    """
    made: list[BuiltDataset] = []

    def read(line: str) -> None:
        event = told(line)
        if isinstance(event, Progress):
            on_progress(event)
        elif event is not None:
            made.append(event)

    ray_job.follow(job_of(parameters), read)
    return made[-1]


def stop_job(parameters: DatasetParameters) -> str | None:
    """Stop the job that runs this build, if one does, and wait until it has ended; returns its ID."""
    return ray_job.stop(job_of(parameters))


def job_of(parameters: DatasetParameters) -> ray_job.Job:
    """A build as work for a cluster."""
    placed = parameters.located()
    shaping = [placed.model_dump(exclude={"ray", "hours"}), code_version()]
    there = placed.model_copy(update={"ray": "auto"}).model_dump_json()
    command = ["python", "-m", "infra.cli", "job", parameters.benchmark, there, "--python", platform.python_version()]
    stem = f"stvg-{parameters.name or parameters.benchmark}-{hash8(shaping)}-"
    return ray_job.Job(parameters.ray, stem, placed.folder, command, parameters.hours, _ERRORS)


def tell(event: Progress | BuiltDataset) -> None:
    """Print an event as one line."""
    kind = next(name for name, made in _TOLD.items() if isinstance(event, made))
    values = {name: value for name, value in asdict(event).items() if name != "outcome"}
    print(json.dumps({kind: values}), flush=True)


def told(line: str) -> Progress | BuiltDataset | None:
    """The event in a line of a job's log; None where there is none."""
    if not line.startswith('{"'):
        return None
    try:
        [(kind, values)] = json.loads(line).items()
        return _TOLD[kind](**values)
    except (ValueError, KeyError, TypeError):
        return None
