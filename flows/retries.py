"""When another try may help."""

from __future__ import annotations

from typing import Any

from prefect import State, Task
from prefect.client.schemas.objects import TaskRun

from infra.errors import BAD_INPUT


def may_pass(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether another try may help a task that failed."""
    return not isinstance(state.data, BAD_INPUT)
