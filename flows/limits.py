"""The limit on the cluster's GPUs, which every stage that wants GPUs takes: a training needs all of them to itself."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectNotFound

GPU_LIMIT = "gpu-cluster"


def gpu_slot(gpus: float) -> AbstractContextManager[None]:
    """Hold the GPUs for the length of the block, waiting for those who hold them; nothing where none are wanted.

    A run that dies keeps its slot until its lease ends, 300 s after the last renewal.

    Raises:
        ConcurrencySlotAcquisitionError: the server has no such limit, since nobody has set it up.
    """
    return concurrency(GPU_LIMIT, strict=True) if gpus else nullcontext()


def put_gpu_limit(client: SyncPrefectClient, runs: int, change: bool) -> str:
    """Let so many runs hold the GPUs at once; a limit that is there is left as it is unless `change`. Says what it did."""
    try:
        there = client.read_global_concurrency_limit_by_name(GPU_LIMIT)
    except ObjectNotFound:
        client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=GPU_LIMIT, limit=runs))
        return f"made limit {GPU_LIMIT}: {runs}"
    if not change or there.limit == runs:
        return f"kept limit {GPU_LIMIT}: {there.limit}"
    client.upsert_global_concurrency_limit_by_name(GPU_LIMIT, runs)
    return f"changed limit {GPU_LIMIT}: {runs}"
