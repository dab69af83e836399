"""Retries of tasks: input errors are final, other errors are retried."""

from __future__ import annotations

from typing import Any

from prefect import State, Task
from prefect.client.schemas.objects import TaskRun
from prefect.tasks import exponential_backoff
from pydantic import ValidationError

from storage.common.errors import InputError


def may_pass(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether a retry may help a failed task: Prefect's `retry_condition_fn`."""
    return not isinstance(state.data, (InputError, ValidationError))


AS_ENGINES_FAIL: dict[str, Any] = {
    "retries": 2,
    "retry_delay_seconds": exponential_backoff(backoff_factor=10),
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": may_pass,
}
"""Options of a task that sends requests to an engine or a server: completed batches are not repeated."""
