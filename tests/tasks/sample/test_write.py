from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.masks.instances import tight_box
from tasks.sample import SampleConfig, generate
from tasks.sample.annotated_clip import make_clip
from tasks.sample.broken import BROKEN
from tasks.sample.scene import make_scene
from tasks.video.reader import Source, VideoError, open_video

SMALL = SampleConfig(videos=2)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sample") / "sample"
    generate(root, SMALL)
    return root


def read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def true_mask(truth: dict[str, Any], figure: int, frame: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    from pycocotools import mask as coco

    counts = truth["figures"][figure]["counts"][frame]
    return np.asarray(coco.decode({"size": truth["size"], "counts": counts}), dtype=np.bool_)


def bytes_below(root: Path) -> dict[str, str]:
    return {
        str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(root.rglob("*")) if p.is_file()
    }


def test_same_configuration_gives_the_same_bytes(sample: Path, tmp_path: Path) -> None:
    generate(tmp_path / "again", SMALL)
    assert bytes_below(tmp_path / "again") == bytes_below(sample)


def test_a_sample_that_is_there_is_left_alone_and_another_configuration_replaces_it(tmp_path: Path) -> None:
    root = tmp_path / "sample"
    generate(root, SampleConfig(videos=1, broken=False))
    marker = root / "videos" / "0" / "0_sample.mp4"
    made = marker.stat().st_mtime_ns
    generate(root, SampleConfig(videos=1, broken=False))
    assert marker.stat().st_mtime_ns == made
    (root / "left_over").touch()
    generate(root, SampleConfig(videos=1, broken=False, seed=5))
    assert not (root / "left_over").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["sample"]


def test_annotations_are_in_the_benchmarks_own_form(sample: Path) -> None:
    annotations = read(sample / "annotations.json")
    assert len(annotations) == SMALL.videos + len(BROKEN)
    for name, entry in annotations.items():
        assert name.endswith(".mp4")
        assert set(entry) == {"bbox", "st_time", "ed_time", "img_num", "English", "img_size", "st_frame"}
        assert entry["img_size"] == [216, 384]
        assert entry["st_frame"] == int(entry["st_time"] * entry["img_num"] / 20) + 1
        assert len(entry["bbox"]) == round((entry["ed_time"] - entry["st_time"]) * entry["img_num"] / 20)
        assert all(w > 0 and h > 0 and x >= 0 and y >= 0 and x + w <= 384 and y + h <= 216 for x, y, w, h in entry["bbox"])


def test_annotated_boxes_are_the_tight_boxes_of_the_named_figures_true_masks(sample: Path) -> None:
    annotations, truth = read(sample / "annotations.json"), read(sample / "truth.json")
    for video_id, true in truth.items():
        entry = annotations[Path(video_id).name]
        for frame, (x, y, w, h) in zip(range(*true["span"]), entry["bbox"], strict=True):
            assert tight_box(true_mask(true, true["target"], frame)) == (x, y, x + w, y + h)
        assert true["figures"][true["target"]]["name"].lower() in entry["English"].lower()


def test_true_masks_of_one_frame_do_not_overlap_and_agree_with_their_counts(sample: Path) -> None:
    for true in read(sample / "truth.json").values():
        for frame in (0, 90, 199):
            shown = [k for k, figure in enumerate(true["figures"]) if figure["counts"][frame]]
            masks = [true_mask(true, k, frame) for k in shown]
            assert (np.sum(masks, axis=0) <= 1).all()
            assert [int(m.sum()) for m in masks] == [true["figures"][k]["visible"][frame] for k in shown]


def test_the_video_shows_what_was_painted(sample: Path) -> None:
    story = make_clip(1, SMALL)
    frame, seen = story.span.start, story.truth[story.target][story.span.start]
    video = open_video(Source("1", sample / "videos" / "1" / "1_sample.mp4"))
    assert len(video) == 200
    assert abs(video.timeline.duration_s - 20) < 1e-6
    difference = np.abs(video.frames([frame])[0].astype(int) - story.frames[frame].astype(int))
    assert seen is not None
    assert difference.mean() < 6


def test_every_figure_can_be_named_without_doubt() -> None:
    for index in range(12):
        names = [figure.look.name for figure in make_scene(index, 0, 5, SMALL).figures]
        colours = {figure.look.colour for figure in make_scene(index, 0, 5, SMALL).figures}
        assert len(set(names)) == len(colours) == 5


def test_figures_steps_follow_one_another_without_a_leap() -> None:
    for index in range(12):
        for figure in make_scene(index, 0, 5, SMALL).figures:
            for before, after in pairwise(figure.steps):
                assert before.stop == after.start
                assert before.x1 == after.x0


@pytest.mark.parametrize("reason", BROKEN)
def test_each_broken_file_has_its_own_reason(sample: Path, reason: str) -> None:
    name = next(n for n in read(sample / "annotations.json") if reason in n)
    path = sample / "videos" / name[1] / name
    with pytest.raises(VideoError) as caught:
        open_video(Source(name, path))
    assert caught.value.reason == reason


def test_true_boxes_list_figures_well_in_sight(sample: Path) -> None:
    truth, boxes = read(sample / "truth.json"), read(sample / "true_boxes.json")
    assert set(truth) == set(boxes)
    for video_id, true in truth.items():
        for frame in (0, 100):
            listed = {tuple(row[:4]) for row in boxes[video_id][str(frame)]}
            for figure in true["figures"]:
                if figure["visible"][frame] > 0.5 * figure["whole"][frame]:
                    assert tuple(figure["boxes"][frame]) in listed


@pytest.mark.heavy
def test_named_figures_are_often_hidden_or_late_and_take_all_places_in_turn(tmp_path: Path) -> None:
    generate(tmp_path / "sample", SampleConfig(broken=False))
    truth = read(tmp_path / "sample" / "truth.json").values()
    hard = 0
    for true in truth:
        figure, span = true["figures"][true["target"]], range(*true["span"])
        hidden = sum(figure["visible"][f] < 0.7 * figure["whole"][f] for f in span)
        hard += hidden >= 3 or figure["visible"][0] == 0
        assert all(figure["visible"][f] > 0 for f in span)
    assert hard >= 0.3 * len(truth)
    places = [true["target"] for true in truth]
    assert {places.count(place) for place in range(5)} == {4}
