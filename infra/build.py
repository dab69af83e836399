"""A build from its parameters, without Prefect: with workers here or on a cluster. As a Ray Job, see `infra.ray.build_job`."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from infra.forms.build import BuildParameters
from infra.ray.metrics import measured
from infra.ray.pool import RayPool
from storage.progress import OnProgress, Progress
from storage.reader import Dataset
from tasks.build.run import run_build


@dataclass(frozen=True)
class Built:
    """A published dataset.

    Attributes:
        dataset: its folder.
        content_hash: what it holds.
        counts: videos by ending.
        preview: its preview page.
    """

    dataset: str
    content_hash: str
    counts: dict[str, int]
    preview: str


def build_dataset(parameters: BuildParameters, on_progress: OnProgress) -> Built:
    """The steps of every build, in order, wherever `parameters.ray` says.

    Raises:
        BudgetError: more videos were lost than allowed.
        WorkerError: the workers cannot start.
        ClusterError: the cluster does not answer, refuses the token or has other versions.
    """
    build = parameters.build()
    with build.folder.lock(), RayPool(parameters.pool()) as pool:
        manifest = run_build(build, pool, measured(on_progress), parameters.error_budget)
    from tasks.preview import current_preview

    page = current_preview(Dataset(build.folder))
    return Built(str(build.folder), manifest.content_hash, dict(manifest.counts), page)


def seldom(on_progress: OnProgress, every_s: float = 2.0) -> OnProgress:
    """Pass on the last progress of each stage, and of the others one each `every_s` seconds."""
    last = -math.inf  # the clock starts with the machine

    def report(progress: Progress) -> None:
        nonlocal last
        if progress.completed == progress.total or time.monotonic() - last > every_s:
            last = time.monotonic()
            on_progress(progress)

    return report
