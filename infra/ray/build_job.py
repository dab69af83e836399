"""A build as a Ray Job: the driver submits and follows it; the job prints its progress and result as JSON lines."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict

from infra.ray import job as ray_job
from infra.ray.build import BuiltDataset
from infra.ray.client import code_version
from infra.ray.retry import WorkerError
from storage.common.errors import InputError
from storage.folders.files import hash8
from storage.outcomes import BudgetError
from storage.progress import OnProgress, Progress
from tasks.build.parameters import DatasetParameters


class RefusedError(InputError):
    """The job on the cluster refused its input."""


_ERRORS = {1: WorkerError, 2: RefusedError, 3: BudgetError}
"""Exit code of the job's command -> the error that its sentence is raised as."""
_COMMAND = ("python", "-m", "infra.cli", "job")
_EVENTS: dict[str, type[Progress | BuiltDataset]] = {"progress": Progress, "built": BuiltDataset}


def run_job(parameters: DatasetParameters, on_progress: OnProgress) -> BuiltDataset:
    """Build on a cluster, by a job that is submitted now or is running already.

    Args:
        parameters: of the build; `ray` is the address of the cluster's dashboard.
        on_progress: called with the progress that the job prints.

    Raises:
        ClusterError, BusyError, JobError: as `ray_job.follow` does.
        RefusedError, WorkerError, BudgetError: raised by the build on the cluster.
    """
    datasets: list[BuiltDataset] = []

    def read(line: str) -> None:
        event = read_event(line)
        if isinstance(event, Progress):
            on_progress(event)
        elif event is not None:
            datasets.append(event)

    ray_job.follow(build_job(parameters), read)
    return datasets[-1]


def stop_job(parameters: DatasetParameters) -> str | None:
    """Stop the job that runs this build, if there is one, wait until it has ended, and return its ID."""
    return ray_job.stop(build_job(parameters))


def build_job(parameters: DatasetParameters) -> ray_job.Job:
    """The job of a build; its ID depends on the parameters and the code."""
    located = parameters.located()
    identity = [located.model_dump(exclude={"ray", "hours"}), code_version()]
    on_cluster = located.model_copy(update={"ray": "auto"}).model_dump_json()
    return ray_job.Job(
        address=parameters.ray,
        stem=f"stvg-{parameters.name or parameters.benchmark}-{hash8(identity)}-",
        folder=located.folder,
        command=[*_COMMAND, parameters.benchmark, on_cluster, "--python", platform.python_version()],
        hours=parameters.hours,
        errors=_ERRORS,
    )


def print_build_event(event: Progress | BuiltDataset) -> None:
    """Print an event of the job as one JSON line."""
    kind = next(name for name, model in _EVENTS.items() if isinstance(event, model))
    values = {name: value for name, value in asdict(event).items() if name != "outcome"}
    print(json.dumps({kind: values}), flush=True)


def read_event(line: str) -> Progress | BuiltDataset | None:
    """The event in a line of a job's log; None if the line is something else."""
    if not line.startswith('{"'):
        return None
    try:
        [(kind, values)] = json.loads(line).items()
        return _EVENTS[kind](**values)
    except (ValueError, KeyError, TypeError):
        return None
