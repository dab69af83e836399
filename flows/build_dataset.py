"""`build-dataset/<benchmark>`: plan, track, render, publish, preview.

A flow run has a handful of task runs, however many videos there are; the videos are fanned out inside Ray. Every task
may be tried again: it finds the parts that are done and goes on.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

from prefect import State, get_run_logger, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.states import Failed
from prefect.tasks import exponential_backoff
from prefect.utilities.annotations import quote

from flows.artifacts import MOST_ROWS, progress_artifact
from flows.automations import BUDGET_EXCEEDED
from flows.families import by_function_name, flows_of
from flows.limits import gpu_slot
from infra.ray.build import BuiltDataset
from infra.ray.build_job import run_job, stop_job
from infra.ray.metrics import measured
from infra.ray.pool import RayPool
from storage.folders.folder import Folder
from storage.folders.open import folder_at
from storage.manifest import Manifest
from storage.outcomes import BudgetError
from storage.progress import OnProgress, Progress
from storage.reader import Dataset
from tasks.build.estimate import Estimate, estimate
from tasks.build.parameters import BuildParameters
from tasks.build.plan import Build, StagePlan, plan_frames, plan_masks
from tasks.build.run import publish_build, run_frames, run_masks
from tasks.metrics.quality import measure_quality
from tasks.metrics.quality_report import quality_rows
from tasks.preview import PREVIEW, current_preview, summary_tables

T = TypeVar("T")

_ONCE: dict[str, Any] = {"cache_policy": NO_CACHE}
"""Prefect would pickle thousands of videos to name a result that nobody keeps."""

_RETRIES: dict[str, Any] = {
    **_ONCE,
    "retries": 2,
    "retry_delay_seconds": exponential_backoff(backoff_factor=5),
    "retry_jitter_factor": 0.5,
}


@task(name="plan", **_ONCE)
def plan(build: Build) -> Estimate:
    """Show what will be done before anything is."""
    masks = plan_masks(build)
    frames = plan_frames(build, masks)
    expected = estimate(build, masks, frames)
    rows = [{"stage": stage.store.spec.name, **stage.counts()} for stage in (masks, frames)]
    create_table_artifact(rows, key="plan", description=f"Videos by state. {expected}")
    records = [{"annotations": reason, "count": count} for reason, count in build.benchmark.records.items()]
    create_table_artifact(records, key="annotations", description="What was read, mended and left out")
    return expected


@task(name="masks", **_RETRIES)
def masks(build: Build, pool: RayPool) -> StagePlan:
    """Detect, track and encode every object."""
    return run_masks(build, pool, measured(_progress("masks")))


@task(name="frames", **_RETRIES)
def frames(build: Build, tracked: StagePlan, pool: RayPool) -> StagePlan:
    """Render and answer every clip."""
    return run_frames(build, tracked, pool, measured(_progress("frames")))


@task(name="publish", **_ONCE)
def publish(build: Build, tracked: StagePlan, rendered: StagePlan, error_budget: float) -> Manifest:
    """Check the error budget and make the dataset visible."""
    return publish_build(build, tracked, rendered, error_budget)


@task(name="preview", **_RETRIES)
def preview(folder: Folder) -> str:
    """Write the preview page; link it and the outcome tables as artifacts."""
    dataset = Dataset(folder)
    current_preview(dataset)
    page = folder.uri(PREVIEW)
    outcomes, videos = summary_tables(dataset)
    create_table_artifact(outcomes, key="outcomes", description=f"How the videos of {folder.name} ended")
    listed = sorted(videos, key=lambda row: row["status"] == "done")[:MOST_ROWS]
    create_table_artifact(
        listed, key="videos", description=f"{len(listed)} of {len(videos)} videos of {folder.name}, lost ones first"
    )
    measured = measure_quality(dataset)
    if measured is not None:
        create_table_artifact(quality_rows(measured), key="quality", description=f"Data quality. {measured.identity}")
    create_link_artifact(page, link_text="Preview", key="preview", description=f"Preview of {folder.name}")
    create_markdown_artifact(
        f"# {folder.name}\n\nPublished in `{folder.uri('')}`, content hash `{dataset.manifest.content_hash[:12]}`.",
        key="dataset",
    )
    return page


@task(name="job", **_ONCE)
def job(parameters: BuildParameters) -> BuiltDataset:
    """Build on a cluster, as a Ray Job that is submitted now or at work already."""
    return run_job(parameters, _progress("job"))


def _progress(key: str) -> OnProgress:
    return progress_artifact(key, "No video has ended yet", _progress_text)


def _progress_text(progress: Progress) -> str:
    return f"{progress.stage}: {progress.completed} of {progress.total} videos, {progress.lost} lost"


def _whole(value: T) -> T:
    """Pass a value to a task as it is: Prefect would walk through its thousands of videos in search of futures."""
    return cast(T, quote(value))


def run(parameters: BuildParameters) -> str | State[str]:
    """Build, here or as a Ray Job, and show what came of it; returns the dataset's folder.

    If more videos were lost than allowed, the run ends in a failed state of its own name: the work done stays, and what was
    published before stays visible.
    """
    try:
        folder = _as_job(parameters) if parameters.as_job else _steps(parameters)
    except BudgetError as error:
        return Failed(name=BUDGET_EXCEEDED, message=str(error), data=error)
    page = preview(folder)
    get_run_logger().info("preview %s", page)
    return str(folder)


def _as_job(parameters: BuildParameters) -> Folder:
    with gpu_slot(parameters.pool.gpus_per_worker):
        return folder_at(job(_whole(parameters)).dataset)


def _steps(parameters: BuildParameters) -> Folder:
    """The steps of a build, in order."""
    log = get_run_logger()
    build = parameters.build()
    with build.folder.lock(), RayPool(parameters.pool, parameters.ray) as pool:
        log.info("%s: %s", build.folder, plan(_whole(build)))
        with gpu_slot(parameters.pool.gpus_per_worker):
            tracked = masks(_whole(build), _whole(pool))
            rendered = frames(_whole(build), _whole(tracked), _whole(pool))
        manifest = publish(_whole(build), _whole(tracked), _whole(rendered), parameters.error_budget)
    log.info("published %s (%s)", build.folder, manifest.content_hash[:12])
    return build.folder


def _stop(parameters: BuildParameters) -> None:
    if parameters.as_job:
        stop_job(parameters)


FLOWS = flows_of("build-dataset", run, _stop)
__getattr__ = by_function_name(FLOWS)
