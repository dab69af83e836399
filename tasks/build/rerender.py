"""Re-render a dataset with other marker settings: a dataset beside it, from the same masks; nothing is detected or tracked."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from storage.common.config import changed
from storage.common.errors import InputError
from storage.folders.copy import copy_files
from storage.folders.folder import Folder
from storage.manifest import DatasetError, Manifest
from storage.progress import OnProgress
from storage.reader import Dataset
from tasks.build.parameters import BuildParameters, DatasetParameters, parameters_of
from tasks.build.plan import plan_masks
from tasks.build.run import FanOut, publish_build, run_frames, store_request
from tasks.build.stages import frames_spec, masks_spec
from tasks.build.upgrade import check_migrated

Changes = Mapping[str, JsonValue]
"""Dotted path of a parameter of a build -> its value, where it differs from the base: `{"markers.size": 40}`."""


class RerenderError(InputError):
    """Settings that would need other masks than the base has; the message names them."""


def variant(base: Folder, name: str, changes: Changes) -> DatasetParameters:
    """Parameters of the dataset `<base>.<name>` beside the base, with these changes.

    Raises:
        DatasetError: the base is not published, not migrated, or does not say how it was built.
        RerenderError: the masks would be others.
        ValidationError: a change names no parameter of a build, or is out of bounds.
    """
    published = Dataset(base).manifest.stages["masks"].key
    check_migrated(base)
    parameters = parameters_of(str(base), changes)
    if masks_spec(parameters.config(), parameters.weights()).key != published:
        settings = ", ".join(f"{key} = {value}" for key, value in changes.items())
        raise RerenderError(
            f"'{name}' ({settings}) would have other masks than '{base.name}': markers, sampling and rendering can be set, "
            "the rest takes a build of its own"
        )
    return parameters.model_copy(update={"name": f"{base.name}.{name}"})


def keeps_masks(changes: Changes) -> bool:
    """Whether a build with these changes has the masks of one without."""
    plain = BuildParameters()
    specs = [masks_spec(one.config(), one.weights()) for one in (plain, changed(plain, changes))]
    return specs[0].key == specs[1].key


def is_rendered(base: Folder, name: str, changes: Changes) -> bool:
    """Whether the variant is published, from the masks that the base has now.

    Raises:
        DatasetError, RerenderError, ValidationError: as `variant` does.
    """
    parameters = variant(base, name, changes)
    try:
        stages = Dataset(parameters.folder).manifest.stages
    except DatasetError:
        return False
    masks = Dataset(base).manifest.stages["masks"]
    config = parameters.config()
    frames = frames_spec(config, masks_spec(config, parameters.weights()))
    return stages["frames"].key == frames.key and stages["masks"] == masks


def rerender(base: Folder, parameters: DatasetParameters, on_progress: OnProgress, fan_out: FanOut) -> Manifest:
    """Render a variant from the masks of its base and publish it.

    Args:
        base: a published dataset.
        parameters: its `variant`.
        on_progress: called as each video ends.
        fan_out: runs the workers that render.

    Raises:
        BudgetError: more videos were lost than the build allows; those without masks in the base are.
    """
    build = parameters.build()
    with build.folder.lock():
        key = build.masks.spec.key
        copy_files(base.child(key), build.folder.child(key))
        store_request(build)
        masks = plan_masks(build)
        frames = run_frames(build, masks, fan_out, on_progress)
        return publish_build(build, masks, frames, parameters.error_budget)


def render_seconds(dataset: Dataset) -> float:
    """Seconds that rendering took over all videos, from masks and source video to stored frames and labels."""
    return sum(float(row["seconds"]) for row in dataset.outcomes.to_pylist() if row["stage"] == "frames")


def rendered_clips(dataset: Dataset) -> int:
    """Number of clips that have frames."""
    return sum(not row["reason"] for row in dataset.table("clips", ["reason"]).to_pylist())
