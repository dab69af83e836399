"""The GPUs of a Ray cluster: how many are free, which actors hold them, and how much of their memory is in use."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from infra.ray.client import connect
from infra.ray.private import dashboard_nodes
from infra.ray.session import ClusterError

FREE_MB = 2048
"""Memory in MiB below which a GPU counts as free."""
_TIMEOUT_S = 60.0
_POLL_S = 2.0
_MOST_HOLDERS = 5


@dataclass(frozen=True)
class Gpu:
    """One GPU of a cluster.

    Attributes:
        node: host name of its machine.
        index: its index on that machine.
        name: product name, as the driver gives it.
        used_mb: memory in use, MiB.
        total_mb: all its memory, MiB.
        pids: IDs of the processes that use it.
    """

    node: str
    index: int
    name: str
    used_mb: int
    total_mb: int
    pids: tuple[int, ...]

    def __str__(self) -> str:
        pids = f", processes {', '.join(map(str, self.pids))}" if self.pids else ""
        return f"GPU {self.index} of {self.node} ({self.used_mb} of {self.total_mb} MiB in use{pids})"


def gpus(address: str) -> list[Gpu]:
    """Every GPU that the cluster's dashboard lists, by machine and index; empty on a cluster of CPUs.

    Args:
        address: of the cluster's dashboard.

    Raises:
        ClusterError: the cluster does not answer or refuses the token.
    """
    listed = [_gpu(node, gpu) for node in dashboard_nodes(connect(address)) for gpu in node.get("gpus") or ()]
    return sorted(listed, key=lambda gpu: (gpu.node, gpu.index))


def _gpu(node: dict[str, Any], gpu: dict[str, Any]) -> Gpu:
    pids = tuple(int(process["pid"]) for process in gpu.get("processesPids") or ())
    used, total = int(gpu.get("memoryUsed") or 0), int(gpu.get("memoryTotal") or 0)
    return Gpu(
        node=node.get("hostname", "?"),
        index=int(gpu.get("index", 0)),
        name=str(gpu.get("name", "")),
        used_mb=used,
        total_mb=total,
        pids=pids,
    )


def check_free(address: str, needed: int) -> None:
    """Check that enough of the cluster's GPUs, or of the slots that represent them, are free.

    Args:
        address: of the cluster's dashboard.
        needed: number of GPUs.

    Raises:
        ClusterError: too few are free; the message names the actors that hold the others.
    """
    from ray.util.state import list_actors, list_nodes

    connect(address)
    total = sum(int(node.resources_total.get("GPU", 0)) for node in list_nodes(address, detail=True) if node.state == "ALIVE")
    holders: Counter[str] = Counter()
    for actor in list_actors(address, detail=True, limit=10_000):
        if actor.state != "DEAD" and (count := _gpus_of(actor.required_resources or {})):
            holders[f"{actor.class_name} of job {actor.job_id}"] += count
    free = total - sum(holders.values())
    if free < needed:
        names = "; ".join(f"{count} by {holder}" for holder, count in holders.most_common(_MOST_HOLDERS)) or "no others"
        raise ClusterError(f"{needed} GPUs are needed, and {free} of the cluster's {total} are free (held: {names})")


def _gpus_of(resources: dict[str, float]) -> int:
    """GPUs of an actor; in a placement group they are listed under several names with one amount."""
    return round(max((amount for name, amount in resources.items() if name.split("_")[0] == "GPU"), default=0.0))


def wait_until_free(address: str, before: list[Gpu]) -> None:
    """Wait until the GPUs that were free before a training are free again.

    Args:
        address: of the cluster's dashboard.
        before: the GPUs as they were before the training.

    Raises:
        ClusterError: their memory is still in use after a minute; the message names the processes.
    """
    free_before = {(gpu.node, gpu.index) for gpu in before if gpu.used_mb < FREE_MB}
    deadline = time.monotonic() + _TIMEOUT_S
    while used := [gpu for gpu in gpus(address) if (gpu.node, gpu.index) in free_before and gpu.used_mb >= FREE_MB]:
        if time.monotonic() > deadline:
            raise ClusterError(f"the training has ended, and its memory is not free: {'; '.join(map(str, used))}")
        time.sleep(_POLL_S)
