"""An import's form asks for what an import reads, and for nothing that only detection and tracking do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.benchmarks.samples import AnnotationError
from tasks.build.parameters import BENCHMARKS, BUILDS, IMPORTS
from tasks.build.stages import masks_spec
from tasks.exchange import imports
from tasks.exchange.imports import RecordedConfig
from tasks.tracking.annotator import NO_WEIGHTS


def test_each_layout_has_a_form_and_no_name_is_a_benchmarks() -> None:
    assert IMPORTS.keys() == imports.IMPORTS.keys()
    assert not IMPORTS.keys() & BENCHMARKS.keys()
    assert len(BUILDS) == len(IMPORTS) + len(BENCHMARKS)


@pytest.mark.parametrize("name", IMPORTS)
def test_what_is_left_out_shapes_no_mask(name: str) -> None:
    """And what is asked for is heard."""
    own: dict[str, Any] = {"masks": "m", "videos": "v"}
    assert IMPORTS[name](**own).config().recorded == RecordedConfig(layout=name)
    fields = set(IMPORTS[name].model_fields)
    assert not {"detector", "tracker", "limits"} & fields
    assert {"root", "name", "masks", "videos", "markers", "sampling", "rendering", "pool", "ray", "error_budget"} <= fields


def test_annotations_give_sentences_to_videos_with_masks(tmp_path: Path) -> None:
    (tmp_path / "masks" / "a" / "mask_data").mkdir(parents=True)
    (tmp_path / "videos").mkdir()
    (tmp_path / "own.jsonl").write_text(json.dumps({"video": "a.mp4", "sentence": "It falls."}))
    (tmp_path / "videos" / "a.mp4").write_bytes(b"bytes")
    own: dict[str, Any] = {"masks": str(tmp_path / "masks"), "videos": str(tmp_path / "videos")}
    [bare] = IMPORTS["released"](**own).read().jobs
    [told] = IMPORTS["released"](**own, annotations=str(tmp_path / "own.jsonl")).read().jobs
    assert bare.masks == told.masks == tmp_path / "masks" / "a" / "mask_data"
    assert ([s.sentence for s in bare.samples], [s.sentence for s in told.samples]) == ([], ["It falls."])
    (tmp_path / "wrong.json").write_text("[]")
    with pytest.raises(AnnotationError, match="HC-STVG"):
        IMPORTS["released"](**own, annotations=str(tmp_path / "wrong.json")).read()


def test_sa_v_holds_masks_unless_told_not_to() -> None:
    asked: dict[str, Any] = {"masks": "m", "videos": "v"}
    held, bare = (IMPORTS["sa-v"](**asked, hold=hold).config() for hold in (True, False))
    assert (held.recorded, bare.recorded) == (RecordedConfig(layout="sa-v"), RecordedConfig(layout="sa-v", hold=False))
    assert masks_spec(held, NO_WEIGHTS).key != masks_spec(bare, NO_WEIGHTS).key


def test_paths_are_placed_for_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    placed = IMPORTS["released"](masks="m", videos="s3://bucket/videos").located()  # type: ignore[call-arg]
    assert (placed.masks, placed.videos) == (str(tmp_path / "m"), "s3://bucket/videos")
