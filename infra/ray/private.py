"""Private members of Ray, each checked when it is used: Ray has no public way to do the same."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any


def cluster_version(client: Any) -> str:
    """The version of Ray that a cluster runs, as its job client read it.

    Args:
        client: a `JobSubmissionClient`.

    Raises:
        RuntimeError: the installed Ray keeps it elsewhere.
    """
    return str(_member(client, "_server_ray_version"))


def dashboard_nodes(client: Any) -> list[dict[str, Any]]:
    """The dashboard's summary of every node, with memory and processes of its GPUs; empty if the dashboard refuses.

    Args:
        client: a `JobSubmissionClient`.

    Raises:
        RuntimeError: the installed Ray has no such request.
    """
    answer = _member(client, "_do_request")("GET", "/nodes?view=summary")
    nodes: list[dict[str, Any]] = answer.json()["data"]["summary"] if answer.ok else []
    return nodes


@contextmanager
def patient_start(within_s: float) -> Iterator[None]:
    """Have a local Ray wait for its node longer than the 30 seconds that are fixed in its code.

    Args:
        within_s: seconds in which the node must have registered.
    """
    from ray._private import services

    original = services.get_node

    def get_node(address: str, node_id: str) -> Any:
        deadline = time.monotonic() + within_s
        while True:
            try:
                return original(address, node_id)
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.2)

    services.get_node = get_node
    try:
        yield
    finally:
        services.get_node = original


def _member(client: Any, name: str) -> Any:
    if not hasattr(client, name):
        raise RuntimeError(f"the job client of Ray {version('ray')} has no {name}: adapt infra/ray/private.py")
    return getattr(client, name)
