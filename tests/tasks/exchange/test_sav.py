"""SA-V's JSON: the real file, and what it may not say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from pycocotools import mask as coco

from storage.folders.open import folder_at
from storage.reader import Dataset
from storage.rle import decode_counts, encode_counts
from tasks.benchmarks.samples import AnnotationError
from tasks.build.plan import Build
from tasks.build.run import run_build, run_here
from tasks.build.stages import ImportConfig
from tasks.exchange import sav
from tasks.exchange.imports import MaskImporter, RecordedConfig, recorded_videos


def test_the_real_file_is_read_with_ids_from_1_on_every_fourth_frame(shared: Path) -> None:
    place = sav.places(shared / "data" / "annotations")["sav_000001"]
    told = json.loads(place.read_text())
    recording = sav.read(place)
    assert (recording.size, recording.every) == ((848, 480), 4)
    frames = list(recording.frames)
    assert [frame for frame, _ in frames] == list(range(0, 483, 4))
    for (_, seen), masks in zip(frames, told["masklet"], strict=True):
        assert list(seen) == [1, 2, 3, 4, 5]
        assert [code for _, code in seen.values()] == masks
        assert {category for category, _ in seen.values()} == {"object"}


@pytest.mark.heavy
def test_the_real_file_becomes_a_dataset_with_frames(shared: Path, tmp_path: Path, clip_factory: Callable[..., Path]) -> None:
    clip_factory(tmp_path / "sav_000001.mp4", [np.full((848, 480, 3), n % 200, np.uint8) for n in range(483)], 24)
    told = json.loads((shared / "data" / "annotations" / "sav_000001_manual.json").read_text())
    for hold, counts in ((True, "done: masks_held"), (False, "done: masks_on_some_frames")):
        build = Build(
            folder_at(tmp_path / f"set-{hold}"),
            recorded_videos("sa-v", shared / "data" / "annotations", tmp_path),
            ImportConfig(recorded=RecordedConfig(layout="sa-v", hold=hold)),
        )
        assert run_build(build, run_here, lambda _: None, 0.0).counts == {counts: 1}
        data = Dataset(build.folder)
        for number in (0, 7, 120):
            truth = {i: coco.decode(code).astype(bool) for i, code in enumerate(told["masklet"][number], start=1)}
            stored = data.masks("sav_000001.mp4", 4 * number)
            assert stored.keys() == {i for i, mask in truth.items() if mask.any()}
            assert all(np.array_equal(mask, truth[i]) for i, mask in stored.items())
            between = data.boxes("sav_000001.mp4", 4 * number + 2)
            assert between == (data.boxes("sav_000001.mp4", 4 * number) if hold else {})
        marked = [bool(row["markers"]) for row in data.frames("sav_000001.mp4", "sav_000001.mp4").to_pylist()]
        assert all(marked) == hold


def test_masks_made_by_hand_come_first(tmp_path: Path) -> None:
    for name in ("a_auto", "b_auto", "deep/b_manual"):
        (tmp_path / f"{name}.json").parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.json").write_text("{}")
    found = sav.places(tmp_path)
    assert {stem: path.name for stem, path in found.items()} == {"a": "a_auto.json", "b": "b_manual.json"}
    counted = recorded_videos("sa-v", tmp_path, tmp_path).records
    assert counted["automatic mask files beside manual ones, left out"] == 1


class Frames(NamedTuple):
    """What an import reads of a video."""

    height: int
    width: int
    count: int

    def __len__(self) -> int:
        return self.count


def test_holes_overlaps_and_empty_masks_stay_as_they_are(tmp_path: Path) -> None:
    masks = np.zeros((3, 2, 12, 16), np.bool_)  # masklet, object
    masks[0, 0, 2:10, 2:12] = True
    masks[0, 0, 4:6, 4:8] = False  # a hole
    masks[0, 1, 3:8, 6:16] = True  # overlaps the first, and fills part of its hole
    masks[1, 1, 0:1, 0:1] = True  # one pixel; the first object is hidden
    codes = [[{"size": [12, 16], "counts": encode_counts(mask).decode()} for mask in pair] for pair in masks]
    place = tmp_path / "a_manual.json"
    sizes = {"video_frame_count": 9, "video_height": 12, "video_width": 16}
    place.write_text(json.dumps({**sizes, "masklet_id": [0, 7], "masklet": codes}))
    video: Any = Frames(12, 16, 9)
    [job] = recorded_videos("sa-v", tmp_path, tmp_path).jobs
    for hold, between in ((True, [0, 1, 2, 3, 4, 5, 6, 7]), (False, [0, 4])):
        tubes = MaskImporter(RecordedConfig(layout="sa-v", hold=hold)).annotate(job, video).tubes
        assert sorted(tubes.frames) == between, "the last masklet is empty"
        assert {frame: list(seen) for frame, seen in tubes.frames.items() if frame % 4 == 0} == {0: [1, 8], 4: [8]}
        for object_id, mask in ((1, masks[0, 0]), (8, masks[0, 1])):
            assert np.array_equal(decode_counts(tubes.frames[0][object_id].counts, 12, 16), mask)
            assert tubes.frames[0][object_id].area == mask.sum()
        assert tubes.frames[4][8].box == (0, 0, 1, 1)
        assert (list(tubes.objects), tubes.discovered_at) == ([1, 8], {1: 0, 8: 0})


GOOD: dict[str, Any] = {
    "video_frame_count": 6.0, "video_height": 2.0, "video_width": 3.0, "masklet_id": [0, 4],
    "masklet": [[{"size": [2, 3], "counts": [6]}, {"size": [2, 3], "counts": [0, 6]}]] * 2,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"masklet": None}, "a value of the wrong kind"),
        ({"masklet": [[]]}, "1 frames of masks do not match 6 frames of video"),
        ({"masklet_id": [1, 1]}, "two objects have the same ID"),
        ({"masklet_id": [-2, 1]}, "is not a whole number"),
        ({"video_height": float("nan")}, "a value of the wrong kind"),
        ({"masklet": [[{}], [{}]]}, "masklet 0 has a value of the wrong kind"),
        ({"masklet": [[None, None]] * 2}, "masklet 0 has a value of the wrong kind"),
    ],
)
def test_what_does_not_go_together_is_named(changed: dict[str, Any], said: str, tmp_path: Path) -> None:
    place = tmp_path / "a_manual.json"
    place.write_text(json.dumps(GOOD))
    assert [(frame, list(seen)) for frame, seen in sav.read(place).frames] == [(0, [1, 5]), (4, [1, 5])]
    place.write_text(json.dumps({**GOOD, **changed}))
    with pytest.raises(AnnotationError, match=said):
        list(sav.read(place).frames)
    place.write_text(json.dumps({name: value for name, value in GOOD.items() if name != "masklet"}))
    with pytest.raises(AnnotationError, match="lacks 'masklet': this is not SA-V's format"):
        sav.read(place)
