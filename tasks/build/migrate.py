"""Migrate a dataset of an earlier version: stages, build request and manifest get the parameters and keys of this version.

Rows and shard records stay as they are, so that a build over the migrated dataset detects, tracks and renders nothing again.
Old stage folders stay for readers of the old manifest, until `stvg gc` removes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from storage.common.config import nested, read_config
from storage.folders.copy import copy_files
from storage.folders.folder import Folder, FolderLike
from storage.folders.open import folder_at
from storage.manifest import MANIFEST, DatasetError, manifest_version, publish
from storage.reader import Dataset
from storage.specification import BUILD_REQUEST, StoredStage, read_build_request, read_stage, write_build_request
from storage.stages import STAGE, StageSpec, StageStore
from tasks.build.parameters import BUILDS
from tasks.build.requeue import published_endings
from tasks.build.stages import FramesParameters, frames_stage, masks_stage, parse_masks
from tasks.build.upgrade import is_flat, upgraded_build, upgraded_frames


@dataclass(frozen=True)
class Migration:
    """A migrated dataset.

    Attributes:
        dataset: path or URL of its folder.
        stages: key of each migrated stage -> its new key; empty if the dataset was of this version.
    """

    dataset: str
    stages: Mapping[str, str]


def migrate_dataset(where: FolderLike) -> Migration:
    """Migrate a dataset in its folder; one of this version stays as it is.

    Args:
        where: folder of the dataset, its path or `s3://` URL.

    Raises:
        DatasetError: the folder holds no dataset.
        ConfigError: stored parameters cannot be read.
        ConflictError: a build has published the dataset meanwhile.
    """
    folder = folder_at(where)
    if not folder.names(MANIFEST) and not folder.names(BUILD_REQUEST):
        raise DatasetError(f"'{folder}' holds no dataset (no {MANIFEST}, no {BUILD_REQUEST}): name the folder of one")
    with folder.lock():
        stored = _stored_stages(folder)
        specs = _specs(stored, str(folder))
        params = {key: stage.params for key, stage in stored.items()}
        left = {key: spec for key, spec in specs.items() if params.get(spec.key) != spec.params}
        for key, spec in left.items():
            _migrate_stage(folder, key, spec)
        if folder.names(MANIFEST):
            _migrate_manifest(folder, specs)
        if folder.names(BUILD_REQUEST):
            _migrate_request(folder, {key: spec.key for key, spec in specs.items()})
    return Migration(str(folder), {key: spec.key for key, spec in left.items()})


def _stored_stages(folder: Folder) -> dict[str, StoredStage]:
    """Key of each stage in a dataset's folder -> its record; masks before the frames rendered from them."""
    names = sorted(file.name for file in folder.files() if file.name.count("/") == 1 and file.name.endswith(f"/{STAGE}"))
    stored = {name.partition("/")[0]: read_stage(folder, name.partition("/")[0]) for name in names}
    return dict(sorted(stored.items(), key=lambda item: item[1].name != "masks"))


def _specs(stored: Mapping[str, StoredStage], source: str) -> dict[str, StageSpec]:
    """Key of each stage of an earlier version -> its specification of this version."""
    specs: dict[str, StageSpec] = {}
    for key, record in stored.items():
        spec = _spec(record, {old: new.key for old, new in specs.items()}, f"{source}/{key}")
        if spec is not None and spec.version == record.version and spec.key != key:
            specs[key] = spec
    return specs


def _migrate_stage(folder: Folder, key: str, spec: StageSpec) -> None:
    """Copy a stage to its new folder; the record is written last, so that an interrupted copy is continued."""
    old, new = folder.child(key), folder.child(spec.key)
    copy_files(old.child("parts"), new.child("parts"))
    copy_files(old, new)
    StageStore(folder, spec).prepare()


def _spec(record: StoredStage, keys: Mapping[str, str], source: str) -> StageSpec | None:
    if record.name == "masks":
        return masks_stage(parse_masks(record.params, source))
    if record.name != "frames":
        return None
    masks = str(record.params["masks"])
    upgraded = {**upgraded_frames(record.params), "masks": keys.get(masks, masks)}
    return frames_stage(read_config(FramesParameters, upgraded, source))


def _migrate_manifest(folder: Folder, specs: Mapping[str, StageSpec]) -> None:
    expected = manifest_version(folder)
    dataset = Dataset(folder)
    stages = dict(dataset.manifest.stages)
    for name, stage in stages.items():
        if stage.key in specs:
            spec = specs[stage.key]
            stages[name] = replace(stage, key=spec.key, params=dict(spec.params))
    publish(folder, stages, published_endings(dataset), dataset.manifest.records, dataset.manifest.tools, expected)


def _migrate_request(folder: Folder, keys: Mapping[str, str]) -> None:
    request = read_build_request(folder)
    if not is_flat(request.parameters):
        return
    model = BUILDS.get(request.benchmark)
    fields = set(model.model_fields) if model else None
    parameters = nested(upgraded_build(request.parameters, fields))
    stages = [keys.get(key, key) for key in request.stages]
    write_build_request(folder, replace(request, parameters=parameters, stages=stages))
