from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from storage.common.config import changed
from storage.folders.files import json_digest
from storage.folders.open import folder_at
from storage.manifest import DatasetError, Manifest, load_manifest
from storage.outcomes import BudgetError, Outcome
from storage.reader import Dataset
from storage.specification import BuildRequest
from tasks.benchmarks.folder import read_folder
from tasks.benchmarks.samples import Benchmark, Clip, Sample, Target, Task, VideoFacts, VideoJob
from tasks.build.plan import Build, plan_frames, plan_masks
from tasks.build.run import Ended, publish_build, run_frames, run_here, run_masks
from tasks.build.stages import BuildConfig
from tasks.build.workers import WorkerFactory, frames_fingerprint
from tasks.markers.config import MarkerConfig
from tasks.masks.instances import Box
from tasks.preview.inspect import describe_unpublished
from tasks.video.reader import Source


def quiet(_progress: object) -> None:
    return None


def run(build: Build, error_budget: float = 1.0, fan_out: Any = run_here) -> Manifest:
    masks = run_masks(build, fan_out, quiet)
    frames = run_frames(build, masks, fan_out, quiet)
    return publish_build(build, masks, frames, error_budget)


def red_boxes(start: int, count: int) -> tuple[tuple[float, float, float, float], ...]:
    return tuple((10.0 + f, 20.0, 50.0 + f, 60.0) for f in range(start, start + count))


def said(sample_id: str, clip_id: str, span_s: tuple[float, float], start: int, boxes: Sequence[Box]) -> Sample:
    targets = (Target.dense(start, boxes),)
    return Sample(
        sample_id, clip_id, "The red square moves.", Task.SPATIO_TEMPORAL, *span_s, start, start + len(boxes) - 1, targets
    )


@pytest.fixture
def build(tmp_path: Path, square_clip: Path, models: Any) -> Build:
    """Two good videos, one with two clips and three sentences; a text file; and one that is not there."""
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(square_clip, videos / name)
    (videos / "bad.mp4").write_text("no video at all, but long enough")
    clips = (Clip("a:all"), Clip("a:late", 2.0, 4.0))
    samples = (
        said("1", "a:all", (0.5, 2.5), 5, red_boxes(5, 20)),
        said("2", "a:late", (0.0, 1.9), 20, red_boxes(20, 19)),
        said("3", "a:all", (0.5, 2.5), 5, ((150.0, 110.0, 158.0, 118.0),) * 20),
    )
    jobs = [VideoJob(Source("a.mp4", videos / "a.mp4"), clips, samples)]
    jobs += [VideoJob(Source(n, videos / n), (Clip(n),)) for n in ("b.mp4", "bad.mp4", "none.mp4")]
    return Build(folder_at(tmp_path / "out" / "squares"), Benchmark(jobs, {"records": 4}), BuildConfig(detector="motion"))


def test_a_build_publishes_masks_frames_and_answers(build: Build) -> None:
    manifest = run(build)
    assert manifest.counts == {"done": 2, "quarantined: missing": 1, "quarantined: not_a_video": 1}
    data = Dataset(build.folder)
    assert data.video_ids() == data.video_ids("frames") == ["a.mp4", "b.mp4"]
    assert data.video_ids("samples") == ["a.mp4"]
    video = data.rows("videos", "a.mp4").to_pylist()[0]
    assert [(o["object_id"], o["category"], o["found_at"], o["frames"]) for o in video["objects"]] == [
        (1, "person", 0, 40),
        (2, "dog", 15, 25),
    ]
    box = data.boxes("a.mp4", 7)[1]
    assert box == pytest.approx((17, 20, 57, 60), abs=1)
    mask = data.masks("a.mp4", 7)[1]
    assert mask.shape == (180, 240)
    assert mask[25:55, 20:54].all()
    assert mask.sum() == pytest.approx(1600, rel=0.06)
    assert [f for f, _ in data.tube("a.mp4", 2)] == list(range(15, 40))


def test_frames_are_rendered_per_clip_with_times_from_its_start(build: Build) -> None:
    import cv2

    run(build)
    data = Dataset(build.folder)
    clips = {row["clip_id"]: row for row in data.rows("clips", "a.mp4").to_pylist()}
    assert [(c["first_frame"], c["last_frame"], c["frame_count"]) for c in clips.values()] == [(0, 39, 8), (20, 39, 4)]
    frames = data.frames("a.mp4", "a:late").to_pylist()
    assert [f["position"] for f in frames] == [0, 1, 2, 3]
    assert frames[0]["time_s"] == pytest.approx(0.0, abs=1e-6)
    assert frames[-1]["time_s"] == pytest.approx(1.9, abs=1e-6)
    image = cv2.imdecode(np.frombuffer(frames[0]["jpeg"], np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert image.shape == (clips["a:late"]["height"], clips["a:late"]["width"], 3)
    marker = next(m for m in frames[0]["markers"] if m["object_id"] == 2)
    x, y, half = int(marker["x"]), int(marker["y"]), int(clips["a:late"]["digit_height_px"] / 2)
    patch = image[y - half : y + half, x - half : x + half].astype(int)
    assert (patch[..., 0] > patch[..., 1] + 80).sum() >= half, "a red number stands on the green square"


def test_sentences_are_answered_with_their_quality(build: Build) -> None:
    run(build)
    rows = {r["sample_id"]: r for r in Dataset(build.folder).rows("samples", "a.mp4").to_pylist()}
    answers = [(rows[i]["answer_ids"], rows[i]["reason"]) for i in "123"]
    assert answers == [([1], ""), ([1], ""), ([], "target_not_drawn")]
    assert rows["1"]["vote_share"] == 1.0
    assert rows["1"]["mean_iou"] > 0.9
    assert (rows["2"]["start_frame"], rows["2"]["end_frame"], len(rows["2"]["targets"][0]["frames"])) == (20, 38, 19)


def test_running_again_does_nothing_and_publishes_the_same(build: Build, models: Any) -> None:
    first = run(build)
    calls = models.detected, models.opened

    def refuse(_factory: WorkerFactory, _jobs: Sequence[VideoJob]) -> Iterator[Ended]:
        raise AssertionError("there is nothing to run")

    assert run(build, fan_out=refuse).content_hash == first.content_hash
    assert (models.detected, models.opened) == calls
    assert plan_masks(build).counts() == {"done": 2, "quarantined": 2}


@pytest.mark.parametrize("markers", [MarkerConfig(theta=0.0), MarkerConfig(size=40)])
def test_another_marker_setting_renders_again_without_detector_or_tracker(
    build: Build, models: Any, markers: MarkerConfig
) -> None:
    first = run(build)
    calls = models.detected, models.opened
    other = replace(build, config=build.config.model_copy(update={"markers": markers}))
    second = run(other)
    assert (models.detected, models.opened) == calls
    assert second.stages["masks"] == first.stages["masks"]
    assert second.stages["frames"].key != first.stages["frames"].key


def test_a_new_video_and_a_changed_one_are_all_that_is_done(
    build: Build, models: Any, clip_factory: Callable[..., Path]
) -> None:
    run(build)
    videos = build.benchmark.jobs[0].source.path.parent
    clip_factory(videos / "b.mp4", [np.full((180, 240, 3), (220, 20, 20), np.uint8)] * 20)
    shutil.copy(videos / "a.mp4", videos / "c.mp4")
    jobs = [*build.benchmark.jobs, VideoJob(Source("c.mp4", videos / "c.mp4"), (Clip("c.mp4"),))]
    grown = replace(build, benchmark=Benchmark(jobs))
    assert plan_masks(grown).states["b.mp4"] == "stale"
    assert plan_masks(grown).states["c.mp4"] == "new"
    models.opened = 0
    run(grown)
    assert models.opened == 2
    data = Dataset(build.folder)
    assert data.rows("videos", "b.mp4").column("frame_count").to_pylist() == [20]
    assert data.video_ids() == ["a.mp4", "b.mp4", "c.mp4"]
    assert plan_masks(grown).counts() == {"done": 3, "quarantined": 2}


def test_a_touched_file_with_the_same_bytes_is_not_done_again(build: Build, models: Any) -> None:
    first = run(build)
    models.opened = 0
    os.utime(build.benchmark.jobs[0].source.path, (1, 1))
    assert run(build).content_hash == first.content_hash
    assert models.opened == 0


def test_a_changed_sentence_renders_one_video_again(build: Build, models: Any) -> None:
    run(build)
    models.opened = 0
    job = build.benchmark.jobs[0]
    changed = replace(job, samples=(replace(job.samples[0], sentence="Another."), *job.samples[1:]))
    other = replace(build, benchmark=Benchmark([changed, *build.benchmark.jobs[1:]]))
    assert plan_frames(other, plan_masks(other)).counts() == {"stale": 1, "done": 1}
    run(other)
    assert models.opened == 0
    assert Dataset(build.folder).rows("samples", "a.mp4").column("sentence")[0].as_py() == "Another."


def test_failures_are_tried_again_by_the_next_run_and_counted_until_then(build: Build, models: Any) -> None:
    def broken(_factory: WorkerFactory, jobs: Sequence[VideoJob]) -> Iterator[Ended]:
        for job in jobs:
            yield Ended(job, Outcome("failed", "worker_died", "it died"), recorded=False)

    with pytest.raises(BudgetError, match="failed: worker_died 4"):
        run(build, error_budget=0.5, fan_out=broken)
    with pytest.raises(DatasetError, match="no published dataset"):
        load_manifest(build.folder)
    assert plan_masks(build).counts() == {"retry": 4}
    assert run(build).counts["done"] == 2


def test_a_breached_budget_names_the_lost_videos_and_the_command_that_goes_on(build: Build) -> None:
    request = BuildRequest("folder", {}, ())
    with pytest.raises(BudgetError) as breach:
        run(replace(build, request=request), error_budget=0.1)
    folder = str(build.folder)
    assert "2 of 4 videos were lost" in str(breach.value)
    assert "(bad.mp4: not_a_video, the bytes are not those of a video container; none.mp4: missing, " in str(breach.value)
    command = f"stvg requeue {folder} --reason missing --reason not_a_video --set error_budget=0.5 --yes"
    assert f": `stvg inspect {folder}` lists all, and `{command}` tries them again" in str(breach.value)
    shown = describe_unpublished(build.folder)
    assert shown["counts"] == {"done": 2, "quarantined: missing": 1, "quarantined: not_a_video": 1}
    assert [(row["video_id"], row["reason"]) for row in shown["lost"]] == [("bad.mp4", "not_a_video"), ("none.mp4", "missing")]
    assert "nothing is published" in shown["published"]
    run(replace(build, request=request))
    assert describe_unpublished(build.folder) == {}


def test_what_a_later_build_lost_is_described_beside_the_published_dataset(build: Build) -> None:
    run(replace(build, request=BuildRequest("folder", {}, ())))
    source = build.benchmark.jobs[1].source
    source.path.write_text("no video any more")
    with pytest.raises(BudgetError):
        run(build, error_budget=0.1)
    [row] = describe_unpublished(build.folder)["lost since"]
    assert (row["video_id"], row["stage"], row["reason"]) == ("b.mp4", "masks", "not_a_video")


def test_a_breached_budget_leaves_the_published_dataset_as_it_was(build: Build) -> None:
    first = run(build)
    with pytest.raises(BudgetError):
        run(build, error_budget=0.1)
    assert load_manifest(build.folder) == first


def test_a_detector_that_raises_is_a_failure_of_that_video_alone(build: Build, models: Any, monkeypatch: Any) -> None:
    real = models.detect

    def sometimes(video: Any, indices: Any) -> Any:
        if video.source.video_id == "a.mp4":
            raise RuntimeError("out of luck")
        return real(video, indices)

    monkeypatch.setattr(models, "detect", sometimes)
    assert run(build).counts == {"done": 1, "failed: error": 1, "quarantined: missing": 1, "quarantined: not_a_video": 1}
    rows = {r["video_id"]: r for r in Dataset(build.folder).outcomes.to_pylist()}
    sentence, *trace = rows["a.mp4"]["detail"].splitlines()
    assert sentence == "RuntimeError: out of luck"
    assert (trace[0], trace[-1]) == ("Traceback (most recent call last):", "RuntimeError: out of luck")
    assert any(line.endswith("in sometimes") for line in trace)


def test_videos_without_objects_and_illegible_clips_are_filtered_with_a_reason(
    build: Build, clip_factory: Callable[..., Path]
) -> None:
    videos = build.benchmark.jobs[0].source.path.parent
    clip_factory(videos / "dark.mp4", [np.full((180, 240, 3), 90, np.uint8)] * 20)
    clip_factory(videos / "black.mp4", [np.full((180, 240, 3), 10, np.uint8)] * 20)
    jobs = [
        VideoJob(Source("dark.mp4", videos / "dark.mp4"), (Clip("dark.mp4"),)),
        VideoJob(Source("black.mp4", videos / "black.mp4"), (Clip("black.mp4"),)),
        VideoJob(Source("a.mp4", videos / "a.mp4"), (Clip("after", 99.0, 100.0),)),
        VideoJob(Source("b.mp4", videos / "b.mp4"), (Clip("b"), Clip("after", 99.0, 100.0))),
    ]
    made = run(replace(build, benchmark=Benchmark(jobs)))
    assert made.counts == {
        "done": 1,
        "filtered: no_objects": 1,
        "filtered: outside_video": 1,
        "quarantined: black": 1,
    }
    assert Dataset(build.folder).rows("clips", "b.mp4").column("reason").to_pylist() == ["outside_video", ""]
    tiny = changed(build.config, {"markers.size": 5})
    job = VideoJob(jobs[-1].source, jobs[-1].clips[:1])
    made = run(replace(build, benchmark=Benchmark([job]), config=tiny))
    assert made.counts == {"filtered: marker_illegible": 1}


def test_a_video_of_another_length_is_kept_and_noted_and_one_of_another_size_is_not(build: Build) -> None:
    good, other = build.benchmark.jobs[:2]
    jobs = [
        replace(good, facts=VideoFacts(frame_count=50)),
        replace(other, facts=VideoFacts(40, 640, 360), samples=(said("9", "b.mp4", (0.5, 2.5), 5, red_boxes(5, 20)),)),
    ]
    made = run(replace(build, benchmark=Benchmark(jobs)))
    assert made.counts == {"done: fewer_frames_than_stated": 1, "quarantined: size_differs": 1}
    rows = {row["video_id"]: row["detail"] for row in Dataset(build.folder).outcomes.to_pylist()}
    assert rows["a.mp4"] == "it has 40 frames; its annotations state 50"
    assert "stated 640x360" in rows["b.mp4"]


def test_times_of_a_clip_given_in_frames_count_from_its_first_frame(build: Build) -> None:
    job = build.benchmark.jobs[0]
    by_frames = VideoJob(job.source, (Clip("late", frames=(20, 39)),))
    run(replace(build, benchmark=Benchmark([by_frames])))
    frames = Dataset(build.folder).frames("a.mp4", "late").to_pylist()
    assert [row["frame_index"] for row in frames] == [20, 26, 33, 39]
    assert [row["time_s"] for row in frames] == pytest.approx([0.0, 0.6, 1.3, 1.9])


def test_only_frames_of_clips_given_in_frames_are_rendered_again_for_the_rule_of_their_times(build: Build) -> None:
    job = build.benchmark.jobs[0]
    before = json_digest(["masks", [asdict(clip) for clip in job.clips], [s.content() for s in job.samples]])
    assert frames_fingerprint("masks", job) == before
    by_frames = VideoJob(job.source, (Clip("late", frames=(20, 39)),))
    assert frames_fingerprint("masks", by_frames) != json_digest(["masks", [asdict(c) for c in by_frames.clips], []])


def zeroed(path: Path, start: float, stop: float) -> None:
    """Zero a part of the media data of an MP4 file, whose index comes after it."""
    data = bytearray(path.read_bytes())
    end = data.rindex(b"moov") - 4
    first = data.index(b"mdat") + 4
    for place in range(first + int(start * (end - first)), first + int(stop * (end - first))):
        data[place] = 0
    path.write_bytes(data)


def test_a_damaged_tail_is_cut_off_and_noted_or_refused_by_option(build: Build) -> None:
    source = build.benchmark.jobs[1].source
    zeroed(source.path, 0.9, 0.99)
    one = replace(build, benchmark=Benchmark([VideoJob(source, (Clip("b"),))]))
    refusing = replace(one, config=changed(one.config, {"limits.least_intact": 1.0}), folder=build.folder.child("refusing"))
    assert run(refusing).counts == {"quarantined: damaged": 1}
    assert run(one).counts == {"done: damaged_tail": 1}
    [video] = Dataset(build.folder).rows("videos", "b.mp4").to_pylist()
    assert 20 <= video["frame_count"] < 40
    assert len(video["times_s"]) == video["frame_count"]
    assert video["duration_s"] == pytest.approx(video["frame_count"] / 10)
    assert video["note"].startswith(f"its data is damaged from frame {video['frame_count']} of 40 on")
    assert max(Dataset(build.folder).rows("masks", "b.mp4").column("frame_index").to_pylist()) < video["frame_count"]


def test_a_file_that_is_damaged_early_is_refused(build: Build) -> None:
    source = build.benchmark.jobs[1].source
    zeroed(source.path, 0.2, 0.4)
    assert run(replace(build, benchmark=Benchmark([VideoJob(source, (Clip("b"),))]))).counts == {"quarantined: damaged": 1}


def test_every_file_of_a_folder_is_done_has_an_outcome_or_is_counted(build: Build, tmp_path: Path, square_clip: Path) -> None:
    root = tmp_path / "folder"
    (root / "inner").mkdir(parents=True)
    shutil.copy(square_clip, root / "good.mp4")
    shutil.copy(square_clip, root / os.fsdecode(b"bad\xff.mp4"))
    shutil.copy(square_clip, tmp_path / "outside.mp4")
    (root / "inner" / "link.mp4").symlink_to(root / "good.mp4")
    (root / "out.mp4").symlink_to(tmp_path / "outside.mp4")
    (root / "out").symlink_to(tmp_path)
    (root / "again").symlink_to(root / "inner")
    (root / "nowhere.mp4").symlink_to(root / "none.mp4")
    for name in ("._good.mp4", "notes.txt", "cover.png"):
        (root / name).write_text("x")
    benchmark = read_folder(root)
    assert benchmark.records == {"videos": 6, "hidden files": 1, "images": 1, "links to folders inside": 1, "other files": 1}
    manifest = run(replace(build, benchmark=benchmark), error_budget=0.2)
    rows = Dataset(build.folder).outcomes.to_pylist()
    assert {row["video_id"]: f"{row['status']} {row['reason']}".strip() for row in rows} == {
        "bad\\xff.mp4": "filtered name_not_utf8",
        "good.mp4": "done",
        "inner/link.mp4": "done",
        "nowhere.mp4": "quarantined missing",
        "out": "filtered leads_out",
        "out.mp4": "filtered leads_out",
    }
    assert manifest.counts["done"] == 2
