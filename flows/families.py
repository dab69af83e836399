"""Families: one flow function, a flow for each of several forms."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import FunctionType
from typing import TypeVar, cast

from prefect import Flow, State, flow
from prefect.client.schemas.objects import FlowRun
from pydantic import BaseModel

from flows.forms import takes

M = TypeVar("M", bound=BaseModel)
R = TypeVar("R")


def flow_of(
    run: Callable[[M], R], form: type[M], family: str, name: str, on_cancel: Callable[[M], None] | None = None
) -> Flow[..., R]:
    """The flow `family` whose parameters are the fields of a form.

    Args:
        run: what it does, a function of a module; that module holds the flow from now on, and Prefect finds it there again.
        form: its parameter model.
        family: the flow's name.
        name: tells it from the others of its family.
        on_cancel: called after a run was cancelled and its process has been ended, by the process that serves it.
    """

    def cancel(flow: Flow[..., R], flow_run: FlowRun, state: State) -> None:
        assert on_cancel is not None
        on_cancel(form(**flow_run.parameters))

    function = takes(form)(run)
    function.__name__ = function.__qualname__ = re.sub(r"\W", "_", f"{family}_{name}")
    made = flow(name=family, description=form.__doc__, on_cancellation=[cancel] if on_cancel else None)(function)
    cast(FunctionType, run).__globals__[function.__name__] = made
    return made
