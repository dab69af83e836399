"""Builds whose videos are fanned out over Ray, without Prefect. As a Ray Job, see `infra.ray.build_job`."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from infra.ray.metrics import measured
from infra.ray.pool import RayPool
from storage.progress import OnProgress, Progress
from storage.reader import Dataset
from tasks.build.parameters import DatasetParameters
from tasks.build.run import run_build


@dataclass(frozen=True)
class BuiltDataset:
    """A published dataset.

    Attributes:
        dataset: its folder, a path or URL.
        content_hash: hash of its rows and outcomes.
        counts: videos counted by outcome.
        preview: URI of its preview page.
    """

    dataset: str
    content_hash: str
    counts: dict[str, int]
    preview: str


def build_dataset(parameters: DatasetParameters, on_progress: OnProgress) -> BuiltDataset:
    """Plan, track, render and publish a dataset, and write its preview page.

    Raises:
        BudgetError: more videos were lost than allowed.
        WorkerError: the workers cannot start.
        ClusterError: the cluster does not answer, refuses the token or has other versions.
    """
    build = parameters.build()
    with build.folder.lock(), RayPool(parameters.pool, parameters.ray) as pool:
        manifest = run_build(build, pool, measured(on_progress), parameters.error_budget)
    from tasks.preview import current_preview

    page = current_preview(Dataset(build.folder))
    return BuiltDataset(str(build.folder), manifest.content_hash, dict(manifest.counts), page)


def throttled(on_progress: OnProgress, interval_s: float = 2.0) -> OnProgress:
    """Pass on the last progress of each stage, and of the others at most one in `interval_s` seconds."""
    last = -math.inf  # the clock starts with the machine

    def report(progress: Progress) -> None:
        nonlocal last
        if progress.completed == progress.total or time.monotonic() - last > interval_s:
            last = time.monotonic()
            on_progress(progress)

    return report
