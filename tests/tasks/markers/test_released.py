"""The released code's behaviours against what its own scripts gave on the same masks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from storage.folders.open import folder_at
from storage.reader import Dataset
from storage.rle import decode_counts
from tasks.benchmarks.samples import Benchmark, Clip, Sample, Target, Task, VideoJob
from tasks.build.plan import Build
from tasks.build.run import publish_build, run_frames, run_here, run_masks
from tasks.build.stages import BuildConfig
from tasks.markers.drawing import Candidate, filter_by_size
from tasks.markers.released import (
    anchor_point,
    inclusive_box,
    plus_one_iou,
    released_answer,
    released_size_filter,
    released_stroke,
)
from tasks.markers.vote import vote_sample
from tasks.masks.instances import Mask, tight_box
from tasks.video.reader import Source


def videos(shared: Path) -> Iterator[tuple[dict[str, Any], dict[int, dict[int, Mask]]]]:
    for video in json.loads((shared / "golden" / "mask_cases.json").read_text())["videos"]:
        masks = {
            int(frame): {int(i): decode_counts(rle["counts"].encode(), *rle["size"]) for i, rle in seen.items()}
            for frame, seen in video["masks"].items()
        }
        yield video, {frame: {i: mask for i, mask in seen.items() if mask.any()} for frame, seen in masks.items()}


def test_filter_anchor_boxes_and_answer_are_those_of_the_released_scripts(shared: Path) -> None:
    for video, masks in videos(shared):
        expected = video["expected"]
        kept = {f: released_size_filter({i: int(mask.sum()) for i, mask in seen.items()}) for f, seen in masks.items()}
        assert {str(f): [str(i) for i in ids] for f, ids in kept.items()} == expected["kept_ids"], video["video_id"]
        points = {str(f): {str(i): list(anchor_point(masks[f][i])) for i in ids} for f, ids in kept.items()}
        assert points == {f: {i: list(xy) for i, xy in seen.items()} for f, seen in expected["marker_xy"].items()}
        extents = {f: {i: inclusive_box(mask) for i, mask in seen.items()} for f, seen in masks.items()}
        told = {str(f): {str(i): list(box or ()) for i, box in seen.items()} for f, seen in extents.items()}
        assert told == expected["boxes_inclusive_xyxy"], video["video_id"]
        boxes = {f: {i: extents[f][i] for i in ids} for f, ids in kept.items()}
        truth = [(x, y, x + w, y + h) for x, y, w, h in video["gt"]["boxes_xywh"]]
        assert released_answer(boxes, video["gt"]["st_frame"], truth) == expected["answer_id"], video["video_id"]  # type: ignore[arg-type]


def test_the_options_of_a_build_reproduce_the_released_scripts(shared: Path) -> None:
    """The same facts by way of what a build calls: candidates of half-open boxes, truth counted from 0."""
    for video, masks in videos(shared):
        expected, drawn = video["expected"], {}
        for frame, seen in masks.items():
            candidates = [
                Candidate(i, "person", int(mask.sum()), anchor_point(mask), tight_box(mask) or (0, 0, 0, 0))
                for i, mask in seen.items()
            ]
            drawn[frame] = filter_by_size(candidates, 1 / 3, "frame")
        kept = {str(frame): [str(c.object_id) for c in seen] for frame, seen in drawn.items()}
        assert kept == expected["kept_ids"], video["video_id"]
        truth = [(x, y, x + w, y + h) for x, y, w, h in video["gt"]["boxes_xywh"]]
        start = video["gt"]["st_frame"] - 1
        sample = Sample("1", "a", "It moves.", targets=(Target.dense(start, truth),))
        found = vote_sample(sample, (start, start + len(truth) - 1), drawn, "released")
        told = [] if expected["answer_id"] is None else [expected["answer_id"]]
        assert list(found.object_ids) == told, video["video_id"]


def test_a_released_vote_for_nobody_has_a_reason() -> None:
    """The object is gone a frame later, where the released code looks."""
    sample = Sample("1", "a", "It moves.", targets=(Target.dense(4, [(0.0, 0.0, 9.0, 9.0)]),))
    drawn = {4: [Candidate(1, "person", 100, (5, 5), (0, 0, 10, 10))], 5: []}
    assert vote_sample(sample, (4, 4), drawn).object_ids == (1,)
    released = vote_sample(sample, (4, 4), drawn, "released")
    assert (released.object_ids, released.reason) == ((), "target_not_drawn")


def test_the_anchor_falls_back_to_the_middle_and_the_font_grows_with_the_frame() -> None:
    ring = np.zeros((9, 9), np.bool_)
    ring[[0, 8], 2:7] = True
    assert anchor_point(ring) == (4, 4)
    assert released_stroke(20 / 30 * 640 / 336) == 2
    assert plus_one_iou((0, 0, 9, 9), (0, 0, 9, 9)) == 1


def test_a_build_with_the_released_options_draws_and_answers_otherwise(tmp_path: Path, square_clip: Path, models: Any) -> None:
    """The clip's green square is a category of its own and a fraction of the red one: only the paper's filter keeps it."""
    assert models.opened == 0
    target = Target.dense(5, [(10.0 + f, 20.0, 50.0 + f, 60.0) for f in range(5, 25)])
    sample = Sample("1", "a.mp4", "It moves.", Task.SPATIO_TEMPORAL, 0.5, 2.5, 5, 24, (target,))
    job = VideoJob(Source("a.mp4", square_clip), (Clip("a.mp4"),), (sample,))
    seen = {}
    for name, markers, rule in (("paper", {}, "paper"), ("released", {"filter": "frame", "anchor": "released"}, "released")):
        shown = {"markers": {"theta": 0.9, **markers}, "rendering": {"answer_rule": rule}}
        config = BuildConfig(detector="motion", **shown)
        build = Build(folder_at(tmp_path / name), Benchmark([job]), config)
        masks = run_masks(build, run_here, lambda _: None)
        frames = run_frames(build, masks, run_here, lambda _: None)
        publish_build(build, masks, frames, 0.0)
        data = Dataset(build.folder)
        assert data.table("samples", ["answer_ids"]).column(0).to_pylist() == [[1]]
        rows = data.frames("a.mp4", "a.mp4").to_pylist()
        seen[name] = {m["object_id"]: (m["x"], m["y"]) for m in rows[-1]["markers"]}
    assert set(seen["paper"]) == {1, 2}
    assert set(seen["released"]) == {1}
    assert seen["released"][1][0] > seen["paper"][1][0]
    assert seen["released"][1][1] < seen["paper"][1][1]
