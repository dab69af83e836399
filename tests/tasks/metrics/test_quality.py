from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from storage.folders.open import folder_at
from storage.reader import Dataset
from tasks.benchmarks.samples import Benchmark, Clip, Sample, Target, Task, VideoJob
from tasks.build.plan import Build
from tasks.build.run import publish_build, run_frames, run_here, run_masks
from tasks.build.stages import BuildConfig
from tasks.detection.base import Detection
from tasks.metrics.arrays import stored_videos
from tasks.metrics.quality import measure_quality
from tasks.metrics.quality_report import quality_rows
from tasks.video.reader import Source

Publish = Callable[[list[Sample]], Dataset]


@pytest.fixture
def publish(tmp_path: Path, square_clip: Path, models: Any) -> Publish:
    """Build the clip of two squares, and a video that is missing, with given sentences."""

    def made(samples: list[Sample]) -> Dataset:
        jobs = [
            VideoJob(Source("a.mp4", square_clip), (Clip("a.mp4"),), tuple(samples)),
            VideoJob(Source("gone.mp4", tmp_path / "gone.mp4"), (Clip("gone.mp4"),), (replace(samples[0], sample_id="lost"),)),
        ]
        build = Build(folder_at(tmp_path / "out" / "squares"), Benchmark(jobs), BuildConfig(detector="motion"))
        masks = run_masks(build, run_here, lambda _: None)
        frames = run_frames(build, masks, run_here, lambda _: None)
        publish_build(build, masks, frames, 1.0)
        return Dataset(build.folder)

    return made


def sample(sample_id: str, start: int, boxes: list[tuple[float, float, float, float]]) -> Sample:
    span = start, start + len(boxes) - 1
    return Sample(sample_id, "a.mp4", "It moves.", Task.SPATIO_TEMPORAL, 0.0, 1.0, *span, (Target.dense(start, boxes),))


RED = [(10.0 + f, 20.0, 50.0 + f, 60.0) for f in range(40)]


def test_true_boxes_of_a_tracked_object_have_a_ceiling_near_one_and_lost_videos_count(publish: Publish) -> None:
    found = measure_quality(publish([sample("1", 5, RED[5:25])]))
    assert found is not None
    assert (found.samples, found.lost, found.ids, found.switches, found.fragments, found.covered) == (2, 1, 1, 0, 1, 1)
    for theta in found.thetas:
        assert theta.not_detected == theta.no_answer == 1
        assert theta.ceiling[0] == pytest.approx(0.5, abs=0.05)
        assert theta.ceiling[1:] == (0.5, 0.5)
        assert theta.ceiling == theta.ceiling_full


def test_an_object_below_theta_is_not_detected_there(publish: Publish, models: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = models.detect
    people = lambda found: [[Detection(d.box, "person", d.score) for d in frame] for frame in found]  # noqa: E731
    monkeypatch.setattr(models, "detect", lambda video, indices: people(real(video, indices)))
    dataset = publish([sample("1", 5, RED[5:25])])
    [video] = stored_videos(dataset)
    frames, boxes = video.tube(2)
    green = [tuple(box) for box in boxes.tolist()]
    small = sample("green", int(frames[0]), green)  # type: ignore[arg-type]
    areas = {i.object_id: i.area for i in dataset.instances("a.mp4", 20)}
    found = measure_quality(publish([small]), (0.0, 1.01 * areas[2] / areas[1]))
    assert found is not None
    assert [theta.not_detected for theta in found.thetas] == [1, 2]
    assert [theta.ceiling_full[0] for theta in found.thetas] == [0.5, 0.0]
    assert len(quality_rows(found)) == 2


def test_a_truth_nobody_tracks_has_no_answer_and_no_identity(publish: Publish) -> None:
    found = measure_quality(publish([sample("1", 5, [(200.0, 150.0, 220.0, 170.0)] * 10)]))
    assert found is not None
    assert (found.ids, found.fragments, found.covered) == (0, 0, 0)
    assert {theta.no_answer for theta in found.thetas} == {2}


def test_a_dataset_without_true_boxes_has_no_quality(publish: Publish) -> None:
    assert measure_quality(publish([Sample("1", "a.mp4", "When?", Task.TEMPORAL, 1.0, 2.0)])) is None


def test_stored_samples_give_back_what_was_annotated(publish: Publish) -> None:
    said = sample("1", 5, RED[5:25])
    timed = Sample("2", "a.mp4", "When?", Task.TEMPORAL, 1.0, 2.0)
    [video] = stored_videos(publish([said, timed]))
    assert [s.sample_id for s in video.samples] == ["1", "2"]
    stored, when = video.samples
    assert stored.targets[0].digest == said.targets[0].digest
    assert (stored.span, stored.span_s, when.span, when.targets) == ((5, 24), (0.0, 1.0), (10, 19), ())
    assert np.array_equal(video.tube(1)[0], np.arange(40))
