"""Five settings of markers over one build: how often detector and tracker run, and what a clip takes to be rendered."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from bench.figures import Figure, at_most, told
from storage.reader import Dataset
from tasks.build.parameters import BENCHMARKS
from tasks.build.rerender import render_seconds, rendered_clips, rerender, variant
from tasks.build.run import run_build, run_here
from tasks.metrics.arrays import source_of
from tasks.tracking.annotator import build_detector, build_tracker
from tasks.video.reader import open_video

SETTINGS: dict[str, dict[str, Any]] = {
    "size-30": {"markers.size": 30},
    "size-40": {"markers.size": 40},
    "upper": {"markers.style": "upper"},
    "mix": {"markers.style": "mix"},
    "theta-0": {"markers.theta": 0},
}
VIDEOS = 8


def run() -> list[Figure]:
    """Build the sample once, and show it otherwise five times, in this process."""
    with tempfile.TemporaryDirectory() as root, _counted() as calls:
        base = BENCHMARKS["sample"].model_validate({"root": root, "videos": VIDEOS}).build()
        run_build(base, run_here, lambda _: None, 0.5)
        built = len(calls)
        for name, changes in SETTINGS.items():
            rerender(base.folder, variant(base.folder, name, changes), lambda _: None, run_here)
        shown = [Dataset(variant(base.folder, name, changes).folder) for name, changes in SETTINGS.items()]
        clips = sum(map(rendered_clips, shown))
        decoding = _decoding(shown[-1])
        a_clip = sum(map(render_seconds, shown)) / clips
    how = f"{len(SETTINGS)} settings of {VIDEOS} clips of 200 frames, {clips} with legible markers; one process"
    return [
        told("times that a detector or a tracker was made, the build", built, "one of each for all videos"),
        at_most("the same, five settings of markers", len(calls) - built, 0, how),
        told("rendering a clip, hashing the source and writing included, s", a_clip, how),
        told("the same over one full decode of its video", a_clip / decoding, "decord, frame by frame to numpy"),
    ]


@contextmanager
def _counted() -> Iterator[list[str]]:
    """Each time a detector or a tracker is made."""
    calls: list[str] = []

    def detector(config: Any, weights: Any) -> Any:
        calls.append("detector")
        return build_detector(config, weights)

    def tracker(config: Any, weights: Any) -> Any:
        calls.append("tracker")
        return build_tracker(config, weights)

    with patch("tasks.tracking.annotator.build_detector", detector), patch("tasks.tracking.annotator.build_tracker", tracker):
        yield calls


def _decoding(dataset: Dataset) -> float:
    """Mean seconds of decoding a video whole."""
    videos = dataset.video_ids("frames")
    started = time.perf_counter()
    for video_id in videos:
        video = open_video(source_of(dataset, video_id))
        for index in range(len(video)):
            video.frames([index])
    return (time.perf_counter() - started) / len(videos)
