"""Renders beside a base: the same masks, other markers, and neither detector nor tracker called."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from infra.forms.benchmarks import FolderParameters
from infra.rendering import render, rendered, variant
from rl.evaluation.sweep import SweepError
from storage.folders.folder import Folder
from storage.manifest import DatasetError
from storage.progress import Progress
from storage.reader import Dataset
from storage.specification import read_build_request
from tasks.build.run import run_build, run_here

SETTINGS: dict[str, dict[str, Any]] = {
    "size-10": {"marker_size": 10},
    "size-40": {"marker_size": 40},
    "upper": {"marker_style": "upper"},
    "mix": {"marker_style": "mix"},
    "theta-0": {"theta": 0},
}


def quiet(_progress: Progress) -> None:
    return None


@pytest.fixture
def base(tmp_path: Path, square_clip: Path, models: Any) -> Folder:
    """Two videos of squares, built in this process."""
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(square_clip, videos / name)
    build = FolderParameters(videos=str(videos), root=str(tmp_path / "sets")).build()
    run_build(build, run_here, quiet, 0.0)
    return build.folder


def test_five_marker_settings_are_rendered_without_detecting_or_tracking(base: Folder, models: Any) -> None:
    calls = models.detected, models.opened
    assert calls[0] > 0
    hashes = {Dataset(base).manifest.content_hash}
    for name, changes in SETTINGS.items():
        assert not rendered(base, name, changes)
        hashes.add(render(base, name, changes, quiet, run_here).content_hash)
        assert rendered(base, name, changes)
    assert (models.detected, models.opened) == calls, "masks come from the base"
    assert len(hashes) == 6
    made = Dataset(variant(base, "upper", SETTINGS["upper"]).folder)
    assert made.manifest.stages["masks"] == Dataset(base).manifest.stages["masks"]
    assert made.video_ids("frames") == ["a.mp4", "b.mp4"]
    assert made.source("a.mp4").resolve() == Dataset(base).source("a.mp4").resolve()  # type: ignore[union-attr]
    assert made.damaged_files() == []


def test_a_render_that_is_there_is_not_made_again_and_one_that_changed_is(base: Folder, models: Any) -> None:
    ended: list[Progress] = []
    render(base, "x", {"theta": 0}, ended.append, run_here)
    assert len(ended) == 2
    render(base, "x", {"theta": 0}, ended.append)
    assert len(ended) == 2, "nothing to render, and no Ray started"
    assert not rendered(base, "x", {"theta": 0.5})
    assert read_build_request(variant(base, "x", {}).folder).parameters["theta"] == 0


@pytest.mark.parametrize("changes", [{"backward": False}, {"confidence": 0.5}])
def test_what_would_change_the_masks_is_refused_in_a_sentence(base: Folder, changes: dict[str, Any]) -> None:
    with pytest.raises(SweepError, match=r"'x' \(\w+ = .*\) would have other masks than 'folder'"):
        variant(base, "x", changes)


def test_what_is_no_parameter_or_not_published_is_refused(base: Folder, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="marker_sise"):
        variant(base, "x", {"marker_sise": 10})
    with pytest.raises(DatasetError, match="holds no published dataset"):
        rendered(base.child("none"), "x", {"theta": 0})
