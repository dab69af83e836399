"""Renders beside a base: the same masks, other markers, and neither detector nor tracker called."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from storage.folders.folder import Folder
from storage.manifest import DatasetError, Manifest
from storage.progress import OnProgress, Progress
from storage.reader import Dataset
from storage.specification import read_build_request
from tasks.build.parameters import BENCHMARKS
from tasks.build.rerender import Changes, RerenderError, is_rendered, rerender, variant
from tasks.build.run import FanOut, run_build, run_here

SETTINGS: dict[str, dict[str, Any]] = {
    "size-10": {"markers.size": 10},
    "size-40": {"markers.size": 40},
    "upper": {"markers.style": "upper"},
    "mix": {"markers.style": "mix"},
    "theta-0": {"markers.theta": 0},
}


def quiet(_progress: Progress) -> None:
    return None


def render(base: Folder, name: str, changes: Changes, on_progress: OnProgress, fan_out: FanOut = run_here) -> Manifest:
    return rerender(base, variant(base, name, changes), on_progress, fan_out)


def idle(*_: Any) -> Any:
    raise AssertionError("nothing is to be rendered")


@pytest.fixture
def base(tmp_path: Path, square_clip: Path, models: Any) -> Folder:
    """Two videos of squares, built in this process."""
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(square_clip, videos / name)
    build = BENCHMARKS["folder"](videos=str(videos), root=str(tmp_path / "sets"), detector="motion").build()
    run_build(build, run_here, quiet, 0.0)
    return build.folder


def test_five_marker_settings_are_rendered_without_detecting_or_tracking(base: Folder, models: Any) -> None:
    calls = models.detected, models.opened
    assert calls[0] > 0
    hashes = {Dataset(base).manifest.content_hash}
    for name, changes in SETTINGS.items():
        assert not is_rendered(base, name, changes)
        hashes.add(render(base, name, changes, quiet, run_here).content_hash)
        assert is_rendered(base, name, changes)
    assert (models.detected, models.opened) == calls, "masks come from the base"
    assert len(hashes) == 6
    made = Dataset(variant(base, "upper", SETTINGS["upper"]).folder)
    assert made.manifest.stages["masks"] == Dataset(base).manifest.stages["masks"]
    assert made.video_ids("frames") == ["a.mp4", "b.mp4"]
    assert made.source("a.mp4").resolve() == Dataset(base).source("a.mp4").resolve()  # type: ignore[union-attr]
    assert made.damaged_files() == []


def test_a_render_that_is_there_is_not_made_again_and_one_that_changed_is(base: Folder, models: Any) -> None:
    ended: list[Progress] = []
    render(base, "x", {"markers.theta": 0}, ended.append, run_here)
    assert len(ended) == 2
    render(base, "x", {"markers.theta": 0}, ended.append, idle)
    assert len(ended) == 2, "nothing to render"
    assert not is_rendered(base, "x", {"markers.theta": 0.5})
    assert read_build_request(variant(base, "x", {}).folder).parameters["markers"]["theta"] == 0


@pytest.mark.parametrize("changes", [{"tracker.backward": False}, {"detector.confidence": 0.5}])
def test_what_would_change_the_masks_is_refused_in_a_sentence(base: Folder, changes: dict[str, Any]) -> None:
    with pytest.raises(RerenderError, match=r"'x' \([\w.]+ = .*\) would have other masks than 'folder'"):
        variant(base, "x", changes)


def test_what_is_no_parameter_or_not_published_is_refused(base: Folder, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"markers\.sise"):
        variant(base, "x", {"markers.sise": 10})
    with pytest.raises(DatasetError, match="holds no published dataset"):
        is_rendered(base.child("none"), "x", {"markers.theta": 0})
