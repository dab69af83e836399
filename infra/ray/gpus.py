"""The GPUs of a Ray cluster: how many are free, who holds the others, and how much of their memory is in use."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from infra.ray.client import connect
from infra.ray.session import ClusterError

FREE_MB = 2048
"""A GPU on which nothing runs uses less than this of its memory, MiB."""
_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Gpu:
    """One GPU.

    Attributes:
        node: its machine.
        index: on that machine.
        name: as the driver has it.
        used_mb, total_mb: memory, MiB.
        pids: processes that use it.
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
    """Every GPU that the cluster's dashboard knows of, by machine and index; none on a cluster of CPUs.

    Raises:
        ClusterError: the cluster does not answer or refuses the token.
    """
    # The dashboard's own door: Ray's public clients tell of resources, not of memory or processes.
    answer = connect(address)._do_request("GET", "/nodes?view=summary")
    nodes: list[dict[str, Any]] = answer.json()["data"]["summary"] if answer.ok else []
    found = [_gpu(node, gpu) for node in nodes for gpu in node.get("gpus") or ()]
    return sorted(found, key=lambda gpu: (gpu.node, gpu.index))


def _gpu(node: dict[str, Any], gpu: dict[str, Any]) -> Gpu:
    pids = tuple(int(process["pid"]) for process in gpu.get("processesPids") or ())
    used, total = int(gpu.get("memoryUsed") or 0), int(gpu.get("memoryTotal") or 0)
    return Gpu(node.get("hostname", "?"), int(gpu.get("index", 0)), str(gpu.get("name", "")), used, total, pids)


def check_free(address: str, needed: int) -> None:
    """Make sure that so many of the cluster's GPUs, or of the slots that stand for them, are free.

    Raises:
        ClusterError: they are not; it says who holds them.
    """
    from ray.util.state import list_actors, list_nodes

    connect(address)
    total = sum(int(node.resources_total.get("GPU", 0)) for node in list_nodes(address, detail=True) if node.state == "ALIVE")
    holders: Counter[str] = Counter()
    for actor in list_actors(address, detail=True, limit=10_000):
        if actor.state != "DEAD" and (held := _held(actor.required_resources or {})):
            holders[f"{actor.class_name} of job {actor.job_id}"] += held
    free = total - sum(holders.values())
    if free < needed:
        told = "; ".join(f"{count} by {who}" for who, count in holders.most_common(5)) or "no others"
        raise ClusterError(f"{needed} GPUs are needed, and {free} of the cluster's {total} are free (held: {told})")


def _held(resources: dict[str, float]) -> int:
    """GPUs of an actor; in a placement group they go by longer names, of which the last stands for all."""
    return round(max((amount for name, amount in resources.items() if name.split("_")[0] == "GPU"), default=0.0))


def wait_until_free(address: str, before: list[Gpu]) -> None:
    """Wait until GPUs that were free before are so again.

    Raises:
        ClusterError: their memory is still in use; it says by which processes.
    """
    were_free = {(gpu.node, gpu.index) for gpu in before if gpu.used_mb < FREE_MB}
    deadline = time.monotonic() + _PATIENCE_S
    while held := [gpu for gpu in gpus(address) if (gpu.node, gpu.index) in were_free and gpu.used_mb >= FREE_MB]:
        if time.monotonic() > deadline:
            raise ClusterError(f"the training has ended, and its memory is not free: {'; '.join(map(str, held))}")
        time.sleep(2)
