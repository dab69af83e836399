"""The same masks shown by other markers: a dataset beside the one that was built, for which nothing is detected or tracked."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from infra.forms.build import BuildParameters
from infra.maintenance import asked_for
from infra.ray.pool import RayPool
from rl.evaluation.sweep import SweepError
from storage.folders.folder import Folder
from storage.folders.open import folder_at
from storage.manifest import DatasetError, Manifest
from storage.progress import OnProgress
from storage.reader import Dataset
from storage.specification import write_build_request
from tasks.build.plan import Build, plan_frames, plan_masks
from tasks.build.run import FanOut, publish_build, run_frames, run_here
from tasks.build.workers import frames_spec, masks_spec

Changes = Mapping[str, Any]
"""Parameters of a build that are not as in the base."""


def variant(base: Folder, name: str, changes: Changes) -> BuildParameters:
    """The build of `<base>.<name>`, beside the base, with these parameters changed.

    Raises:
        DatasetError: the base is not published, or does not say how it was built.
        SweepError: the masks would be others.
        ValidationError: a change is no parameter of a build, or out of bounds.
    """
    published = Dataset(base).manifest.stages["masks"].key
    made = asked_for(str(base), changes)
    if masks_spec(made.config()).key != published:
        told = ", ".join(f"{key} = {value}" for key, value in changes.items())
        raise SweepError(
            f"'{name}' ({told}) would have other masks than '{base.name}': markers, theta and frames can be set, "
            "the rest takes a build of its own"
        )
    return made.model_copy(update={"name": f"{base.name}.{name}"})


def rendered(base: Folder, name: str, changes: Changes) -> bool:
    """Whether the dataset beside the base is published, of the base's masks as they are now and with these changes.

    Raises:
        DatasetError, SweepError, ValidationError: as `variant` does.
    """
    made = variant(base, name, changes)
    try:
        stages = Dataset(made.folder).manifest.stages
    except DatasetError:
        return False
    return stages["frames"].key == frames_spec(made.config()).key and stages["masks"] == Dataset(base).manifest.stages["masks"]


def render(base: Folder, name: str, changes: Changes, on_progress: OnProgress, fan_out: FanOut | None = None) -> Manifest:
    """Show the base's masks by other markers and publish that as a dataset of its own.

    Args:
        base: a published dataset.
        name: of the setting.
        changes: what is shown otherwise.
        on_progress: is told of each video.
        fan_out: who renders; by default Ray, as for a build, where there is something to render.

    Raises:
        DatasetError, SweepError, ValidationError: as `variant` does.
        BudgetError: more videos were lost than the build allows; those without masks in the base are.
    """
    parameters = variant(base, name, changes)
    build = parameters.build()
    with build.folder.lock():
        key = build.masks.spec.key
        _copy(folder_at(base).child(key), build.folder.child(key))
        _say(build)
        masks = plan_masks(build)
        idle = fan_out is not None or not plan_frames(build, masks).todo
        with nullcontext(fan_out or run_here) if idle else RayPool(parameters.pool()) as pool:
            frames = run_frames(build, masks, pool, on_progress)
        return publish_build(build, masks, frames, parameters.error_budget)


def render_seconds(dataset: Dataset) -> float:
    """Seconds that rendering took, all videos together: from masks and source video to frames and labels, writing included."""
    return sum(float(row["seconds"]) for row in dataset.outcomes.to_pylist() if row["stage"] == "frames")


def rendered_clips(dataset: Dataset) -> int:
    """Clips that have frames."""
    return sum(not row["reason"] for row in dataset.table("clips", ["reason"]).to_pylist())


def _say(build: Build) -> None:
    assert build.request is not None
    write_build_request(build.folder, replace(build.request, stages=(build.masks.spec.key, build.frames.spec.key)))


def _copy(source: Folder, target: Folder) -> None:
    """Copy what is committed; records after the tables that they name."""
    there = set(target.names("*"))
    for name in sorted(source.names("*"), key=lambda name: name.endswith(".json")):
        if name not in there:
            target.write(name, source.read(name))
