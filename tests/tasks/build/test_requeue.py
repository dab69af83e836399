"""Videos run again for a reason: those and no others, into the same dataset."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from storage.common.config import changed
from storage.folders.open import folder_at
from storage.manifest import DatasetError, Manifest, load_manifest
from storage.outcomes import BudgetError, Outcome
from storage.reader import Dataset
from tasks.benchmarks.samples import Benchmark, Clip, VideoJob
from tasks.build.plan import Build, plan_frames, plan_masks
from tasks.build.requeue import RequeueError, check_same_stages, plan_requeue, reasons, requeue, with_reasons
from tasks.build.run import Ended, publish_build, run_frames, run_here, run_masks
from tasks.build.stages import BuildConfig
from tasks.build.workers import WorkerFactory
from tasks.video.reader import Source


def quiet(_progress: object) -> None:
    return None


def run(build: Build, error_budget: float = 1.0, fan_out: Any = run_here) -> Manifest:
    masks = run_masks(build, fan_out, quiet)
    return publish_build(build, masks, run_frames(build, masks, fan_out, quiet), error_budget)


def again(build: Build, *wanted: str, fan_out: Any = run_here) -> Manifest:
    return requeue(build, plan_requeue(build, wanted), fan_out, quiet, 1.0)


class Watched:
    """Runs here, and notes which videos were run in which stage."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def __call__(self, factory: WorkerFactory, jobs: Sequence[VideoJob]) -> Iterator[Ended]:
        self.ran += [job.source.video_id for job in jobs]
        return run_here(factory, jobs)


@pytest.fixture
def build(tmp_path: Path, square_clip: Path, clip_factory: Callable[..., Path], models: Any) -> Build:
    """Two good videos; one too long for the cap; one that is no video; one that is all grey."""
    videos = tmp_path / "videos"
    for name in ("a.mp4", "b.mp4"):
        clip_factory(videos / name, squares_of(square_clip))
    clip_factory(videos / "long.mp4", [*squares_of(square_clip), *squares_of(square_clip)])
    (videos / "bad.mp4").write_text("no video at all, but long enough")
    clip_factory(videos / "grey.mp4", [np.full((180, 240, 3), 90, np.uint8)] * 10)
    jobs = [VideoJob(Source(path.name, path), (Clip(path.name),)) for path in sorted(videos.iterdir())]
    return Build(
        folder_at(tmp_path / "set"),
        Benchmark(jobs, {"videos": 5}),
        BuildConfig(detector="motion", limits={"max_duration_s": 5.0}),
    )


def squares_of(clip: Path) -> list[Any]:
    from tasks.video.reader import open_video

    video = open_video(Source("squares", clip))
    return list(video.frames(range(len(video))))


def tables(build: Build, video_id: str) -> list[Any]:
    data = Dataset(build.folder)
    return [data.rows(table, video_id).to_pylist() for table in ("videos", "masks", "clips", "frames", "samples")]


def raised(build: Build) -> Build:
    return replace(build, config=changed(build.config, {"limits.max_duration_s": 60.0}))


def test_a_raised_cap_runs_the_long_video_and_no_other(build: Build) -> None:
    first = run(build)
    assert first.counts == {"done": 2, "filtered: no_objects": 1, "filtered: too_long": 1, "quarantined: not_a_video": 1}
    before = {video_id: tables(build, video_id) for video_id in ("a.mp4", "b.mp4")}
    watched = Watched()
    second = again(raised(build), "too_long", fan_out=watched)
    assert watched.ran == ["long.mp4", "long.mp4"]
    assert second.counts == {"done": 3, "filtered: no_objects": 1, "quarantined: not_a_video": 1}
    assert {video_id: tables(build, video_id) for video_id in before} == before
    for stage in ("masks", "frames"):
        there = [shard for shard in second.stages[stage].shards if shard in first.stages[stage].shards]
        assert there == first.stages[stage].shards, "no file of the others was written again"
    assert Dataset(build.folder).rows("videos", "long.mp4").column("frame_count").to_pylist() == [80]
    assert run(raised(build), fan_out=refuse).content_hash == second.content_hash


def refuse(_factory: WorkerFactory, _jobs: Sequence[VideoJob]) -> Iterator[Ended]:
    raise AssertionError("there is nothing to run")


def test_a_replaced_file_is_run_and_what_is_new_or_changed_beside_it_is_not(build: Build, square_clip: Path) -> None:
    run(build)
    videos = build.benchmark.jobs[0].source.path.parent
    before = {video_id: tables(build, video_id) for video_id in ("a.mp4", "b.mp4")}
    shutil.copy(square_clip, videos / "bad.mp4")
    shutil.copy(square_clip, videos / "b.mp4")
    shutil.copy(square_clip, videos / "new.mp4")
    new = VideoJob(Source("new.mp4", videos / "new.mp4"), (Clip("new.mp4"),))
    grown = replace(build, benchmark=Benchmark([*build.benchmark.jobs, new], {"videos": 6}))
    found = plan_requeue(grown, ["not_a_video"])
    assert (found.videos, found.left) == ({"bad.mp4"}, 2)
    watched = Watched()
    manifest = requeue(grown, found, watched, quiet, 1.0)
    assert set(watched.ran) == {"bad.mp4"}
    assert manifest.counts == {"done": 3, "filtered: no_objects": 1, "filtered: too_long": 1}
    assert manifest.records == {"videos": 5}
    assert {video_id: tables(build, video_id) for video_id in before} == before
    assert plan_masks(grown).counts() == {"done": 3, "filtered": 1, "new": 1, "stale": 1}
    assert run(grown).counts["done"] == 4


def test_what_ends_as_before_is_settled_again_and_can_be_asked_for_again(build: Build) -> None:
    first = run(build)
    for _ in range(3):
        watched = Watched()
        assert again(build, "not_a_video", fan_out=watched).counts == first.counts
        assert watched.ran == ["bad.mp4"]
        assert plan_masks(build).counts() == {"done": 3, "filtered": 1, "quarantined": 1}
    assert again(build, "not_a_video", "too_long").counts == first.counts


def test_masks_made_again_have_their_frames_rendered_again(build: Build, models: Any) -> None:
    videos = build.benchmark.jobs[0].source.path.parent
    job = VideoJob(Source("long.mp4", videos / "long.mp4"), (Clip("start", 0.0, 2.0),))
    cut = replace(build, benchmark=Benchmark([job]))
    assert run(cut).counts == {"done: cut_to_segments": 1}
    watched = Watched()
    assert again(raised(cut), "cut_to_segments", fan_out=watched).counts == {"done": 1}
    assert watched.ran == ["long.mp4", "long.mp4"]
    assert Dataset(build.folder).rows("videos", "long.mp4").column("tracked")[0].as_py() == [
        {"start_frame": 0, "end_frame": 79}
    ]


def test_failures_are_run_again_even_before_anything_is_published(build: Build) -> None:
    def broken(_factory: WorkerFactory, jobs: Sequence[VideoJob]) -> Iterator[Ended]:
        for job in jobs:
            yield Ended(job, Outcome("failed", "worker_died", "it died"), recorded=False)

    with pytest.raises(BudgetError):
        run(build, error_budget=0.5, fan_out=broken)
    assert [row[:3] for row in reasons(with_reasons(build))] == [("masks", "failed", "worker_died")]
    assert again(build, "worker_died").counts["done"] == 2


def test_killed_after_its_entries_are_void_the_next_build_does_them_as_new(build: Build) -> None:
    run(build)

    def killed(_factory: WorkerFactory, _jobs: Sequence[VideoJob]) -> Iterator[Ended]:
        raise KeyboardInterrupt
        yield

    with pytest.raises(KeyboardInterrupt):
        again(raised(build), "too_long", fan_out=killed)
    assert load_manifest(build.folder).counts["filtered: too_long"] == 1
    assert plan_masks(build).states["long.mp4"] == "new"
    assert run(raised(build)).counts["done"] == 3


def test_a_reason_nobody_has_and_one_that_cannot_change_are_refused_in_a_sentence(build: Build) -> None:
    run(build)
    with pytest.raises(RequeueError, match=r"'tired'; the reasons there are: .*too_long \(1\)"):
        plan_requeue(build, ["tired"])
    with pytest.raises(RequeueError, match="'no_objects' follows from the masks and from what shapes the frames"):
        plan_requeue(build, ["no_objects"])
    larger = replace(build, config=changed(build.config, {"markers.size": 40}))
    with pytest.raises(RequeueError, match="the frames are others"):
        check_same_stages(build, larger)
    check_same_stages(build, raised(build))


def test_other_videos_need_a_published_dataset_to_stay_in(build: Build, square_clip: Path) -> None:
    with pytest.raises(BudgetError):
        run(build, error_budget=0.0)
    shutil.copy(square_clip, build.benchmark.jobs[0].source.path)
    with pytest.raises(DatasetError, match="no published dataset"):
        plan_requeue(build, ["too_long"])
    assert plan_frames(build, plan_masks(build)).counts()["done"] == 1
