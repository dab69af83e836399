"""The limit on the cluster's GPUs: a slot is acquired by every stage that uses GPUs, since a training needs all of them."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectNotFound

GPU_LIMIT = "gpu-cluster"


def gpu_slot(gpus: float) -> AbstractContextManager[None]:
    """Hold a slot of the GPU limit for the length of the block, after waiting for it.

    A run that dies keeps its slot until its lease ends, 300 s after the last renewal.

    Args:
        gpus: number of GPUs that the block uses; 0 takes no slot.

    Raises:
        ConcurrencySlotAcquisitionError: the server has no such limit: it was not set up.
    """
    return concurrency(GPU_LIMIT, strict=True) if gpus else nullcontext()


def put_gpu_limit(client: SyncPrefectClient, runs: int, change: bool) -> str:
    """Create the GPU limit on a server, or change it.

    Args:
        client: of the server.
        runs: maximum number of runs that hold the GPUs at the same time.
        change: whether an existing limit is changed.

    Returns:
        A line on what was done.
    """
    try:
        existing = client.read_global_concurrency_limit_by_name(GPU_LIMIT)
    except ObjectNotFound:
        client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=GPU_LIMIT, limit=runs))
        return f"made limit {GPU_LIMIT}: {runs}"
    if not change or existing.limit == runs:
        return f"kept limit {GPU_LIMIT}: {existing.limit}"
    client.upsert_global_concurrency_limit_by_name(GPU_LIMIT, runs)
    return f"changed limit {GPU_LIMIT}: {runs}"
