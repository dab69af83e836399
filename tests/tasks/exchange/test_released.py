"""The released code's layout: written, and read again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from storage.folders.open import folder_at
from storage.reader import Dataset
from storage.rle import decode_counts
from tasks.benchmarks.samples import AnnotationError
from tasks.build.plan import Build
from tasks.build.run import run_build, run_here
from tasks.build.stages import ImportConfig
from tasks.exchange import released
from tasks.exchange.export import export_dataset
from tasks.exchange.imports import RecordedConfig, recorded_videos
from tasks.markers.released import released_size_filter


def test_a_file_a_frame_of_all_objects_and_of_the_large_ones(dataset: Dataset, tmp_path: Path) -> None:
    counts = export_dataset(dataset, "released", tmp_path / "out")
    assert counts == {"videos": 2, "frames": 64, "masks": dataset.table("masks").num_rows}
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a", "b"]
    for stem, video_id, frames in (("a", "deep/a.mp4", 40), ("b", "b.mp4", 24)):
        for frame in range(frames):
            every, large = (
                json.loads((tmp_path / "out" / stem / name / f"mask_{frame}.json").read_text())
                for name in ("mask_data", "mask_data_filtered_1_3")
            )
            masks = dataset.masks(video_id, frame)
            assert {int(i) for i in every["objects"]} == masks.keys()
            assert {int(i) for i in large["objects"]} == set(released_size_filter({i: int(m.sum()) for i, m in masks.items()}))
            for object_id, told in every["objects"].items():
                assert told["box"] is None
                assert told["rle"]["size"] == [every["height"], every["width"]]
                mask = decode_counts(told["rle"]["counts"].encode(), *told["rle"]["size"])
                assert np.array_equal(mask, masks[int(object_id)])


def test_exported_and_imported_again_masks_and_ids_are_equal(dataset: Dataset, tmp_path: Path) -> None:
    export_dataset(dataset, "released", tmp_path / "out")
    videos = tmp_path / "videos"
    (videos / "deep").mkdir()
    (videos / "deep" / "a.mp4").write_bytes(Path(str(dataset.source("deep/a.mp4"))).read_bytes())
    benchmark = recorded_videos("released", tmp_path / "out", videos)
    assert benchmark.records == {"videos": 2}
    build = Build(folder_at(tmp_path / "again"), benchmark, ImportConfig(recorded=RecordedConfig(layout="released")))
    assert run_build(build, run_here, lambda _: None, 0.0).counts == {"done": 2}
    again = Dataset(build.folder)
    columns = [name for name in dataset.table("masks").column_names if name != "video_id"]
    for old, new in (("deep/a.mp4", "a.mp4"), ("b.mp4", "b.mp4")):
        assert again.rows("masks", new, columns).equals(dataset.rows("masks", old, columns))
        for column in ("sha256", "times_s", "tracked", "width", "height"):
            assert again.rows("videos", new, [column]).equals(dataset.rows("videos", old, [column]))
        told = [
            [(o["object_id"], o["category"], o["frames"]) for o in d.rows("videos", v, ["objects"]).column(0)[0].as_py()]
            for d, v in ((dataset, old), (again, new))
        ]
        assert told[0] == told[1]
    shown = [
        [(r["frame_index"], r["markers"]) for r in d.frames(v, c).to_pylist()]
        for d, v, c in ((dataset, "deep/a.mp4", "a"), (again, "a.mp4", "a.mp4"))
    ]
    assert shown[0] == shown[1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "is not the released code's format"),
        ("{", "is not a JSON file"),
        ('{"height": 4, "width": 4}', "lacks 'objects'"),
        ('{"height": 4, "width": 4, "objects": {"one": {"class_name": "a", "rle": {}}}}', "a value of the wrong kind"),
        ('{"height": 4, "width": 4, "objects": {"1": {"rle": {}}}}', "lacks 'class_name'"),
    ],
)
def test_a_damaged_frame_is_named(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "mask_3.json").write_text(text)
    with pytest.raises(AnnotationError, match=r"mask_3.json.*" + said):
        list(released.read(tmp_path).frames)


def test_an_object_whose_class_the_released_code_has_lost_is_an_object(tmp_path: Path) -> None:
    told = {"height": 4, "width": 4, "objects": {"2": {"class_name": None, "box": [0, 0, 1, 1], "rle": {}}}}
    (tmp_path / "mask_0.json").write_text(json.dumps(told))
    assert list(released.read(tmp_path).frames) == [(0, {2: ("object", {})})]


def test_frames_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for frame in (10, 9, 100):
        (tmp_path / f"mask_{frame}.json").write_text('{"height": 4, "width": 4, "objects": {}}')
    (tmp_path / "mask_x.json").write_text("not one of them")
    assert [frame for frame, _ in released.read(tmp_path).frames] == [9, 10, 100]
    with pytest.raises(AnnotationError, match=r"holds no mask_<frame>.json"):
        released.read(tmp_path.parent)
