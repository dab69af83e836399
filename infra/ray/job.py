"""Work as a Ray Job that is submitted once; later calls attach to it.

The job's ID is a hash of the work, so a driver that was restarted, or a second one, finds the running job. A job ends by
itself, when it is stopped here, or after its hours, whether or not a driver follows it.
"""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.ray.client import code_sent, connect
from infra.ray.session import ClusterError
from storage.common.errors import TransientError
from storage.folders.files import BusyError

RECONNECT_S, RECONNECTS = 2.0, 60
STOP_S = 60.0
"""Seconds within which a stopped job ends; Ray kills it after a few."""
_TIMED_OUT = 124
"""Exit code of `timeout`."""


class JobError(TransientError):
    """A Ray Job was stopped, timed out or failed; completed work is kept, and the next job continues it."""


@dataclass(frozen=True)
class Job:
    """Work for a cluster that is done once, however often it is submitted.

    Attributes:
        address: of the cluster's dashboard, such as `http://head:8265`.
        stem: prefix of the IDs of all attempts, a hash of the work and the code.
        folder: the folder that it writes; other work there is refused while it runs.
        command: arguments run by the cluster's Python; it reports an error as a last line `error: ...` and an exit code.
        hours: time after which the cluster stops it.
        errors: exit code of the command -> the error that its sentence is raised as.
    """

    address: str
    stem: str
    folder: str
    command: Sequence[str]
    hours: float
    errors: Mapping[int, type[Exception]]


def follow(job: Job, on_line: Callable[[str], None]) -> None:
    """Submit a job, or attach to it if it is running, and follow its log to the end.

    An interrupt from the keyboard stops the job. If this process is killed the job continues, and the next call attaches to it.

    Args:
        job: the work.
        on_line: called with each line of the log, from the first one on, again after a lost connection.

    Raises:
        ClusterError: the cluster does not answer, refuses the token or has other versions.
        BusyError: another job is at work on the same folder.
        JobError: the job was stopped, timed out or failed.
        Exception: one of the job's `errors`, by the exit code of its command.
    """
    client = connect(job.address)
    job_id = _running(client, job) or _submit(client, job)
    try:
        sentence, last_line = asyncio.run(_follow(client, job_id, on_line))
    except KeyboardInterrupt:
        _stop(client, job_id)
        raise
    _raise_ending(client.get_job_info(job_id), job, sentence, last_line)


def find_running_job(job: Job) -> str | None:
    """The ID of the attempt that is running or pending; None without one.

    Args:
        job: the work.

    Raises:
        ClusterError, BusyError: as `follow` does.
    """
    return _running(connect(job.address), job)


def stop(job: Job) -> str | None:
    """Stop a job if it is running, wait until it has ended, and return its ID.

    Args:
        job: the work.

    Raises:
        ClusterError, BusyError: as `follow` does.
    """
    client = connect(job.address)
    job_id = _running(client, job)
    if job_id is not None:
        _stop(client, job_id)
    return job_id


def _stop(client: Any, job_id: str) -> None:
    client.stop_job(job_id)
    deadline = time.monotonic() + STOP_S
    while not client.get_job_status(job_id).is_terminal() and time.monotonic() < deadline:
        time.sleep(0.2)


def _running(client: Any, job: Job) -> str | None:
    active = [other for other in client.list_jobs() if other.submission_id and not other.status.is_terminal()]
    for other in active:
        if other.submission_id.startswith(job.stem):
            return str(other.submission_id)
    for other in active:
        if (other.metadata or {}).get("folder") == job.folder:
            raise BusyError(
                f"the job {other.submission_id} is at work on '{job.folder}', with other parameters: wait or stop it"
            )
    return None


def _submit(client: Any, job: Job) -> str:
    """Submit the next attempt, or return the one that another driver has submitted at the same moment."""
    before = [other.submission_id for other in client.list_jobs() if (other.submission_id or "").startswith(job.stem)]
    attempt = 1 + max((int(job_id.removeprefix(job.stem)) for job_id in before), default=0)
    limit = ["timeout", "--foreground", "--kill-after=60", f"{job.hours * 3600:.1f}"]
    try:
        return str(
            client.submit_job(
                entrypoint=shlex.join([*limit, *job.command]),
                submission_id=f"{job.stem}{attempt}",
                metadata={"folder": job.folder},
                runtime_env=code_sent(),
            )
        )
    except RuntimeError as error:
        if (job_id := _running(client, job)) is not None:
            return job_id
        raise ClusterError(f"the cluster at {job.address} does not take the job: {error}") from error


async def _follow(client: Any, job_id: str, on_line: Callable[[str], None]) -> tuple[str, str]:
    """Pass on the log; returns the sentence of an error, and the last line that is not blank."""
    sentence = last_line = ""
    async for line in _lines(client, job_id):
        on_line(line)
        if line.startswith("error: "):
            sentence = line.removeprefix("error: ")
        last_line = line.strip() or last_line
    return sentence, last_line


async def _lines(client: Any, job_id: str) -> AsyncIterator[str]:
    """The lines of the job's log until it ends, again from its start after a lost connection."""
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


def _raise_ending(info: Any, job: Job, sentence: str, last_line: str) -> None:
    if info.status == "SUCCEEDED":
        return
    if info.status == "STOPPED":
        raise JobError(f"the job {info.submission_id} was stopped; run the same again to go on where it stopped")
    if info.driver_exit_code == _TIMED_OUT:
        raise JobError(f"the job {info.submission_id} took longer than {job.hours:g} h and was stopped; raise --hours")
    if sentence:
        raise job.errors.get(info.driver_exit_code, JobError)(sentence)
    detail = last_line or info.message
    raise JobError(f"the job {info.submission_id} failed: {detail} ('ray job logs {info.submission_id}' tells more)")
