"""Distribution of the videos of a build over workers."""

from __future__ import annotations

from pydantic import Field

from storage.common.config import Config


class RetryConfig(Config):
    """Retries of videos, and the conditions that stop a run."""

    max_attempts: int = Field(
        2, title="Attempts", ge=1, le=100, description="Attempts in one run at a video that fails without ending its worker."
    )
    max_deaths: int = Field(
        3,
        title="Worker deaths",
        ge=1,
        le=100,
        description="Workers that a video may end before it is quarantined, and machines it may lose before the next run.",
    )
    breaker: int = Field(
        10,
        title="Circuit breaker",
        ge=1,
        le=100_000,
        description="Videos in a row that each end their first worker, after which the run stops; at least twice the workers.",
    )


class PoolConfig(Config):
    """Workers and their limits; nothing here shapes a dataset."""

    workers: int = Field(
        0, title="Workers", ge=0, le=4096, description="Videos that are worked on at the same time; 0 takes one for each CPU."
    )
    cpus_per_worker: float = Field(
        1, title="CPUs a worker", ge=0, le=1024, description="CPUs that are reserved for each worker; fractions share a CPU."
    )
    gpus_per_worker: float = Field(
        0, title="GPUs a worker", ge=0, le=8, description="GPUs of each worker; 0 uses the CPU, and fractions share a GPU."
    )
    recycle_after: int = Field(
        0,
        title="Recycle workers",
        ge=0,
        le=1_000_000,
        description="Videos after which a worker process is replaced, which returns leaked memory; 0 never replaces it.",
    )
    deadline_s: float = Field(
        3600, title="Deadline", gt=0, le=86_400, description="Seconds after which work on a video is stopped with its worker."
    )
    placed_within_s: float = Field(
        1800,
        title="Start deadline",
        gt=0,
        le=86_400,
        description="Seconds after which a run stops if none of its workers has started: the cluster has no room for them.",
    )
    retries: RetryConfig = Field(
        RetryConfig(), title="Retries", description="How often a video is tried, and what stops the run."
    )
