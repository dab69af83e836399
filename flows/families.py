"""Families of flows: one function, and a flow of it for every registered deployment of the family."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from prefect import Flow, State, flow
from prefect.client.schemas.objects import FlowRun

from flows.forms import takes
from flows.register import Registration, registrations

Flows = Mapping[str, Flow[..., Any]]
"""Flows by the full name of their deployment."""


def flows_of(family: str, run: Callable[[Any], Any], on_cancel: Callable[[Any], None] | None = None) -> Flows:
    """The flows of a family, whose parameters are the fields of the registered forms.

    Args:
        family: the name of all these flows.
        run: the body of the flow, which takes the parameters as an instance of the form.
        on_cancel: called with the parameters after a run was cancelled and its process has ended, by the process that serves
            it.
    """
    own = [registration for registration in registrations().values() if registration.family == family]
    return {registration.full_name: _flow(registration, run, on_cancel) for registration in own}


def _flow(registration: Registration, run: Callable[[Any], Any], on_cancel: Callable[[Any], None] | None) -> Flow[..., Any]:
    form = registration.form

    def cancel(flow: Flow[..., Any], flow_run: FlowRun, state: State) -> None:
        assert on_cancel is not None
        on_cancel(form(**flow_run.parameters))

    function = takes(form)(run)
    function.__name__ = function.__qualname__ = re.sub(r"\W", "_", f"{registration.family}_{registration.name}")
    return flow(name=registration.family, description=form.__doc__, on_cancellation=[cancel] if on_cancel else None)(function)


def by_function_name(flows: Flows) -> Callable[[str], Flow[..., Any]]:
    """The `__getattr__` of a module whose flows are attributes: Prefect loads a flow by its module and function name."""
    attributes = {flow.fn.__name__: flow for flow in flows.values()}

    def attribute(name: str) -> Flow[..., Any]:
        if name not in attributes:
            raise AttributeError(f"there is no flow of the function name '{name}'")
        return attributes[name]

    return attribute
