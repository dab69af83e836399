"""A dataset of an earlier version is migrated once, and a build over it detects, tracks and renders nothing again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from storage.folders.open import folder_at
from storage.garbage import find_garbage
from storage.manifest import DatasetError
from storage.reader import Dataset
from storage.specification import read_build_request
from tasks.build.migrate import migrate_dataset
from tasks.build.parameters import parameters_of
from tasks.build.plan import plan_frames, plan_masks
from tasks.build.rerender import is_rendered, variant
from tasks.build.run import run_build, run_here
from tasks.build.stages import frames_parameters

LEGACY = Path(__file__).parents[2] / "fixtures" / "legacy"


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """Folder of the datasets of an earlier version, with their videos and sentences beside it."""
    for name in ("videos", "datasets"):
        shutil.copytree(LEGACY / name, tmp_path / name)
    shutil.copy(LEGACY / "own.jsonl", tmp_path)
    for path in tmp_path.glob("datasets/*/build.json"):
        path.write_text(path.read_text().replace("/tmp/legacy", str(tmp_path)))
    return tmp_path / "datasets"


def test_parameters_of_an_earlier_version_are_read_as_those_of_today(sets: Path) -> None:
    shown = frames_parameters(Dataset(sets / "own.size-40"))
    assert (shown.markers.size, shown.markers.style, shown.sampling.fps, shown.rendering.jpeg_quality) == (40, "numbers", 2, 70)
    parameters = parameters_of(str(sets / "own"), {"limits.max_objects": 7})
    assert (parameters.detector.name, parameters.detector.every_frames, parameters.limits.max_objects) == ("motion", 5, 7)  # type: ignore[attr-defined]


def test_a_build_over_a_migrated_dataset_does_nothing_again(sets: Path, models: Any) -> None:
    folder = sets / "own"
    build = parameters_of(str(folder)).build()
    with pytest.raises(DatasetError, match=r"own' was written by an earlier version: run `stvg migrate .*own` once"):
        plan_masks(build)
    before = Dataset(folder)
    rows = {table: before.table(table).to_pylist() for table in ("videos", "masks", "clips", "frames", "samples")}
    migrated = migrate_dataset(folder)
    masks = plan_masks(build)
    frames = plan_frames(build, masks)
    assert set(migrated.stages.values()) == {masks.store.spec.key, frames.store.spec.key}
    assert (masks.todo, frames.todo) == ([], [])
    after = Dataset(folder)
    assert {table: after.table(table).to_pylist() for table in rows} == rows
    assert after.outcomes.to_pylist() == before.outcomes.to_pylist()
    assert after.damaged_files() == []
    manifest = run_build(build, run_here, lambda _: None, 0.5)
    assert manifest.content_hash == after.manifest.content_hash
    assert models.detected == models.opened == 0
    assert read_build_request(folder).parameters["markers"]["size"] == 20
    assert set(read_build_request(folder).stages) == set(migrated.stages.values())
    assert {item.name.partition("/")[0] for item in find_garbage(folder, 0)} >= set(migrated.stages)


def test_a_migrated_base_knows_its_renders(sets: Path) -> None:
    base, changes = folder_at(sets / "own"), {"markers.size": 40}
    with pytest.raises(DatasetError, match="stvg migrate"):
        variant(base, "size-40", changes)
    migrate_dataset(base)
    assert not is_rendered(base, "size-40", changes)
    migrate_dataset(sets / "own.size-40")
    assert is_rendered(base, "size-40", changes)


def test_migrating_again_changes_nothing(sets: Path) -> None:
    folder = sets / "own"
    assert migrate_dataset(folder).stages
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert migrate_dataset(folder).stages == {}
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_a_folder_without_a_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no dataset"):
        migrate_dataset(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_parts_that_are_not_in_a_shard_are_migrated(sets: Path) -> None:
    folder = sets / "own"
    [masks] = folder.glob("masks-*")
    (masks / "parts").mkdir()
    (masks / "parts" / "part-0.json").write_text(json.dumps({}))
    new = migrate_dataset(folder).stages[masks.name]
    assert (folder / new / "parts" / "part-0.json").is_file()
