"""Thousands of small videos with sentences: good ones, every kind of bad data, and kinds that kill their worker."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from storage.outcomes import Outcome
from tasks.benchmarks.samples import VideoJob
from tasks.build.parameters import BENCHMARKS, BuildParameters
from tasks.build.workers import Worker, WorkerFactory
from tasks.sample.broken import BROKEN
from tasks.sample.encode import write_video
from tasks.sample.scene import SampleConfig
from tasks.video.reader import Frames

KILLERS = ("crash", "memory", "hang")
BAD_SHARE, KILLER_SHARE = 100, 1000
"""Of each kind of bad data one video in so many, and of each kind of killer."""
FRAMES, WIDTH, HEIGHT, FPS = 4, 128, 96, 4


class Written(NamedTuple):
    """What was written: the annotation file, the videos folder, the scripted boxes, and videos counted by kind."""

    annotations: Path
    videos: Path
    boxes: Path
    kinds: dict[str, int]


def write_videos(folder: Path, count: int) -> Written:
    """Write `count` videos below a folder; their names say of what kind they are."""
    videos = folder / "videos"
    videos.mkdir(parents=True)
    models = _models(folder / "models")
    names, kinds = [], dict.fromkeys(("good", *BROKEN, *KILLERS), 0)
    for number in range(count):
        kind = _kind(number)
        kinds[kind] += 1
        names.append(f"{number:05d}-{kind}.mp4")
        if kind != "missing":
            os.link(models["good" if kind in KILLERS else kind], videos / names[-1])
    lines = [json.dumps({"video": name, "sentence": "The red square moves.", "span_s": [0.0, 0.9]}) for name in names]
    (folder / "lines.jsonl").write_text("\n".join(lines))
    boxes = {name: {"0": [[10, 20, 50, 60, "object", 0.9]]} for name in names}
    (folder / "boxes.json").write_text(json.dumps(boxes))
    return Written(folder / "lines.jsonl", videos, folder / "boxes.json", kinds)


def _kind(number: int) -> str:
    bad, killer = number % BAD_SHARE, number % KILLER_SHARE
    if killer in range(500, 500 + len(KILLERS)):
        return KILLERS[killer - 500]
    return tuple(BROKEN)[bad - 7] if bad in range(7, 7 + len(BROKEN)) else "good"


def _models(folder: Path) -> dict[str, Path]:
    """One file of each kind."""
    folder.mkdir()
    good = folder / "good.mp4"
    write_video(good, _square(), FPS)
    models = {"good": good}
    for reason, write in BROKEN.items():
        models[reason] = folder / f"{reason}.mp4"
        write(models[reason], good, SampleConfig())
    return models


def _square() -> Frames:
    """A square that moves over a dark ground."""
    pictures = np.full((FRAMES, HEIGHT, WIDTH, 3), 30, np.uint8)
    for index, picture in enumerate(pictures):
        picture[20:60, 10 + 3 * index : 50 + 3 * index] = (220, 40, 40)
    return pictures


def parameters(written: Written, root: Path, **chosen: Any) -> BuildParameters:
    """A build of them with the scripted detector and the embedded tracker."""
    return BENCHMARKS["own"](
        root=str(root),
        name="many",
        annotations=str(written.annotations),
        videos=str(written.videos),
        detector={"name": "scripted", "weights": str(written.boxes)},
        markers={"size": 40},
        error_budget=0.5,
        **chosen,
    )


class Poisoned:
    """A worker that dies of the videos whose names say so, and else does what the worker it holds does."""

    def __init__(self, factory: WorkerFactory) -> None:
        self._worker: Worker = factory()

    def run(self, job: VideoJob) -> Outcome:
        """Do the stage, or die."""
        name = job.source.video_id
        if "-crash" in name:
            ctypes.string_at(0)  # a crash in native code
        if "-memory" in name:
            os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does when memory runs out
        if "-hang" in name:
            time.sleep(3600)
        return self._worker.run(job)
