"""Work as a Ray Job, which is submitted once and attached to by whoever asks again.

The job's ID is made of what the work is, so a driver that died, or a second one, finds the job that runs. It ends by itself,
when it is stopped here, or after its hours, whether anyone follows it or not.
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
"""How long a job may take to end once it is told to; Ray kills it after a few seconds."""
_TIMED_OUT = 124
"""Exit code of `timeout`."""


class JobError(TransientError):
    """A Ray Job that was stopped, took too long, or broke; nothing is lost, and the next one goes on where it stopped."""


@dataclass(frozen=True)
class Job:
    """Work for a cluster that is done once, however often it is asked for.

    Attributes:
        address: the cluster's dashboard, http://head:8265.
        stem: what the IDs of all its attempts begin with, made of what the work is and of the code.
        folder: where it writes: other work there is refused as long as it runs.
        command: run by the cluster's own Python; an error of its own is a last line `error: ...` and an exit code.
        hours: after which the cluster ends it.
        errors: exit code of the command -> what its sentence is raised as.
    """

    address: str
    stem: str
    folder: str
    command: Sequence[str]
    hours: float
    errors: Mapping[int, type[Exception]]


def follow(job: Job, on_line: Callable[[str], None]) -> None:
    """Submit a job, or attach to it where it runs already, and follow its log to its end.

    Interrupted from the keyboard, it stops the job; killed, it leaves the job at work for the next call to attach to.

    Args:
        job: the work.
        on_line: is given each line of the log, from the first one on, again after a lost connection.

    Raises:
        ClusterError: the cluster does not answer, refuses the token or has other versions.
        BusyError: another job is at work on the same folder.
        JobError: the job was stopped, took too long, or broke.
        Exception: of the job's `errors`, as its command said.
    """
    client = connect(job.address)
    job_id = _running(client, job) or _submit(client, job)
    try:
        sentence, last_line = asyncio.run(_follow(client, job_id, on_line))
    except KeyboardInterrupt:
        _stop(client, job_id)
        raise
    _raise_ending(client.get_job_info(job_id), job, sentence, last_line)


def running(job: Job) -> str | None:
    """ID of the attempt that is at work, or waits to be.

    Raises:
        ClusterError, BusyError: as `follow` does.
    """
    return _running(connect(job.address), job)


def stop(job: Job) -> str | None:
    """Stop a job, if it runs, and wait until it has ended; returns its ID."""
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
    """The attempt that is at work, or waits to be."""
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
    """Submit the next attempt; one that another driver submits at the same moment is attached to."""
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
    """Pass on the log; returns the sentence of an error, and the last line that said anything."""
    sentence = last_line = ""
    async for line in _lines(client, job_id):
        on_line(line)
        if line.startswith("error: "):
            sentence = line.removeprefix("error: ")
        last_line = line.strip() or last_line
    return sentence, last_line


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
