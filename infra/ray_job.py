"""The second door to Ray: a build as a Ray Job, which is submitted once and attached to by whoever asks again.

The job's ID is made of what the build is, so a driver that died, or a second one, finds the job that runs. It ends by
itself, when it is stopped here, or after its hours, whether anyone follows it or not.
"""

from __future__ import annotations

import asyncio
import platform
import shlex
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from infra.build import Built
from infra.job import told
from infra.parameters import BuildParameters
from infra.poison import WorkerError
from infra.ray_client import code_sent, code_version, connect
from infra.ray_session import ClusterError
from storage.files import BusyError, hash8
from storage.outcomes import BudgetError
from tasks.build import OnProgress

RECONNECT_S, RECONNECTS = 2.0, 60
STOP_S = 60.0
"""How long a job may take to end once it is told to; Ray kills it after a few seconds."""
_TIMED_OUT = 124
"""Exit code of `timeout`."""


class JobError(Exception):
    """A Ray Job that was stopped, took too long, or broke; nothing is lost, and the next one goes on where it stopped."""


class RefusedError(Exception):
    """The input cannot be used, as the job on the cluster found."""


_ERRORS = {1: WorkerError, 2: RefusedError, 3: BudgetError}
"""Exit code of the job's command -> what its sentence is raised as."""


def run_job(parameters: BuildParameters, on_progress: OnProgress) -> Built:
    """Submit a build to a cluster, or attach to it where it runs already, and follow it to its end.

    Interrupted from the keyboard, it stops the job; killed, it leaves the job at work for the next call to attach to.

    Raises:
        ClusterError: the cluster does not answer, refuses the token or has other versions.
        BusyError: a job with other parameters is at work on the same dataset.
        JobError: the job was stopped, took too long, or broke.
        RefusedError, WorkerError, BudgetError: what the build itself raised there.
    """
    client = connect(parameters.ray)
    job_id = _running(client, parameters) or _submit(client, parameters)
    try:
        ending = asyncio.run(_follow(client, job_id, on_progress))
    except KeyboardInterrupt:
        _stop(client, job_id)
        raise
    return _built(ending, client.get_job_info(job_id), parameters)


def stop_job(parameters: BuildParameters) -> str | None:
    """Stop the job that runs this build, if one does, and wait until it has ended; returns its ID."""
    client = connect(parameters.ray)
    job_id = _running(client, parameters)
    if job_id is not None:
        _stop(client, job_id)
    return job_id


def _stop(client: Any, job_id: str) -> None:
    client.stop_job(job_id)
    deadline = time.monotonic() + STOP_S
    while not client.get_job_status(job_id).is_terminal() and time.monotonic() < deadline:
        time.sleep(0.2)


def stem(parameters: BuildParameters) -> str:
    """What the IDs of all jobs for one build begin with: dataset, and a hash of its parameters and the code."""
    shaping = parameters.placed().model_dump(exclude={"ray", "hours"})
    return f"stvg-{parameters.name or parameters.dataset}-{hash8([shaping, code_version()])}-"


def _running(client: Any, parameters: BuildParameters) -> str | None:
    """The job that is at work on this build, or waits to be."""
    active = [job for job in client.list_jobs() if job.submission_id and not job.status.is_terminal()]
    start = stem(parameters)  # hashes the code
    for job in active:
        if job.submission_id.startswith(start):
            return str(job.submission_id)
    folder = parameters.placed().folder
    for job in active:
        if (job.metadata or {}).get("dataset") == folder:
            raise BusyError(f"the job {job.submission_id} is at work on '{folder}', with other parameters: wait or stop it")
    return None


def _submit(client: Any, parameters: BuildParameters) -> str:
    """Submit the next attempt; one that another driver submits at the same moment is attached to."""
    start = stem(parameters)
    before = [job.submission_id for job in client.list_jobs() if (job.submission_id or "").startswith(start)]
    attempt = 1 + max((int(job_id.removeprefix(start)) for job_id in before), default=0)
    try:
        return str(
            client.submit_job(
                entrypoint=_command(parameters),
                submission_id=f"{start}{attempt}",
                metadata={"dataset": parameters.placed().folder},
                runtime_env=code_sent(),
            )
        )
    except RuntimeError as error:
        if (job_id := _running(client, parameters)) is not None:
            return job_id
        raise ClusterError(f"the cluster at {parameters.ray} does not take the job: {error}") from error


def _command(parameters: BuildParameters) -> str:
    """The driver's command line: the cluster's own Python, ended by the cluster when the hours are over."""
    there = parameters.placed().model_copy(update={"ray": "auto"}).model_dump_json()
    limit = ["timeout", "--foreground", "--kill-after=60", f"{parameters.hours * 3600:.1f}"]
    build = ["python", "-m", "infra.cli", "job", parameters.dataset, there, "--python", platform.python_version()]
    return shlex.join([*limit, *build])


@dataclass
class _Ending:
    """What a job's log said last: the dataset, the sentence of an error, and any line."""

    built: Built | None = None
    sentence: str = ""
    last_line: str = ""


async def _follow(client: Any, job_id: str, on_progress: OnProgress) -> _Ending:
    ending = _Ending()
    async for line in _lines(client, job_id):
        event = told(line)
        if isinstance(event, Built):
            ending.built = event
        elif event is not None:
            on_progress(event)
        elif line.startswith("error: "):
            ending.sentence = line.removeprefix("error: ")
        elif line.strip():
            ending.last_line = line.strip()
    return ending


async def _lines(client: Any, job_id: str) -> AsyncIterator[str]:
    """The job's log until it ends; from its start again where the connection was lost."""
    import aiohttp

    lost = 0
    while lost < RECONNECTS:
        rest = ""
        try:
            async for chunk in client.tail_job_logs(job_id):
                lost = 0
                *lines, rest = (rest + chunk).split("\n")
                for line in lines:
                    yield line
            if client.get_job_status(job_id).is_terminal():
                yield rest
                return
        except (OSError, RuntimeError, aiohttp.ClientError):
            lost += 1
        await asyncio.sleep(RECONNECT_S)
    raise ClusterError("the cluster no longer answers; its job may go on: run the same again to attach to it")


def _built(ending: _Ending, info: Any, parameters: BuildParameters) -> Built:
    if ending.built is not None and info.status == "SUCCEEDED":
        return ending.built
    if info.status == "STOPPED":
        raise JobError(f"the job {info.submission_id} was stopped; run the same again to go on where it stopped")
    if info.driver_exit_code == _TIMED_OUT:
        raise JobError(f"the job {info.submission_id} took longer than {parameters.hours:g} h and was stopped; raise --hours")
    if ending.sentence and info.driver_exit_code in _ERRORS:
        raise _ERRORS[info.driver_exit_code](ending.sentence)
    detail = ending.last_line or info.message
    raise JobError(f"the job {info.submission_id} failed: {detail} ('ray job logs {info.submission_id}' tells more)")
