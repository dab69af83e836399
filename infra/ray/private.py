"""Private members of Ray's job client, each checked when it is used: Ray has no public way to do the same."""

from __future__ import annotations

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


def _member(client: Any, name: str) -> Any:
    if not hasattr(client, name):
        raise RuntimeError(f"the job client of Ray {version('ray')} has no {name}: adapt infra/ray/private.py")
    return getattr(client, name)
