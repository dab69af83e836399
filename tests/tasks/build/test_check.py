from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from storage.progress import Progress
from tasks.benchmarks.samples import Clip, Sample, Target, VideoFacts, VideoJob
from tasks.build.check import check_videos, states
from tasks.video.reader import Source


def test_every_video_is_told_apart(tmp_path: Path, square_clip: Path, clip_factory: Callable[..., Path]) -> None:
    black = clip_factory(tmp_path / "black.mp4", [np.zeros((64, 64, 3), np.uint8)] * 8)
    (tmp_path / "text.mp4").write_text("no video, but long enough to be one")
    said = (Sample("1", "c", "x", targets=(Target.dense(0, [(0, 0, 1, 1)]),)),)
    stated = {
        "good.mp4": (square_clip, VideoFacts(40, 240, 180)),
        "short.mp4": (square_clip, VideoFacts(500, 240, 180)),
        "other.mp4": (square_clip, VideoFacts(40, 640, 360)),
        "black.mp4": (black, VideoFacts()),
        "text.mp4": (tmp_path / "text.mp4", VideoFacts()),
        "gone.mp4": (tmp_path / "gone.mp4", VideoFacts()),
    }
    jobs = [VideoJob(Source(name, path), (Clip("c"),), said, facts) for name, (path, facts) in stated.items()]
    seen: list[Progress] = []
    found = {f.video_id: f for f in check_videos(jobs, decode=True, on_progress=seen.append)}
    assert {name: f.state for name, f in found.items()} == {
        "good.mp4": "there",
        "short.mp4": "fewer_frames_than_stated",
        "other.mp4": "size_differs",
        "black.mp4": "black",
        "text.mp4": "not_a_video",
        "gone.mp4": "missing",
    }
    assert [name for name, f in found.items() if f.usable] == ["good.mp4", "short.mp4"]
    assert seen == [Progress("check", n, 6) for n in range(1, 7)]
    quick = check_videos(jobs, decode=False, on_progress=seen.append)
    assert states(quick)["there"] == 2, "black is seen only by decoding"
