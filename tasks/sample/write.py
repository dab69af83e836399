"""Files of the sample: videos and annotations in the layout of HC-STVG v2, and the full truth."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from tasks.masks.instances import Instance
from tasks.sample.annotated_clip import AnnotatedClip, make_clip
from tasks.sample.broken import SampleEntry, write_broken
from tasks.sample.encode import write_video
from tasks.sample.scene import SECONDS, SampleConfig

VERSION = 3
"""Incremented when the same configuration gives other files, so that older samples are regenerated."""
DETECTABLE = 0.25
"""Minimum visible share of a figure for the true boxes to contain it."""


def generate(root: Path, config: SampleConfig = SampleConfig()) -> None:  # noqa: B008 - frozen
    """Write the sample into `root`, unless an equal one exists.

    Layout: `videos/<0-9>/<name>.mp4`; `annotations.json` in HC-STVG v2's format, keyed by file name; `truth.json` and
    `true_boxes.json`, keyed by file name too; `sample.json` with the configuration, written last.

    Args:
        root: target folder.
        config: number of videos, seed, size and rate.
    """
    recipe = {"version": VERSION, **asdict(config)}
    if _read(root / "sample.json") == recipe:
        return
    # Written to a temporary folder and renamed, so that an incomplete sample is never used.
    building = root.with_name(f".{root.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    _write_all(building, config)
    _dump(building / "sample.json", recipe)
    shutil.rmtree(root, ignore_errors=True)
    building.rename(root)


def video_id(index: int, name: str) -> str:
    """Path of video `index` below `videos`: HC-STVG distributes its files over folders 0 to 9.

    Args:
        index: 0-based number of the video.
        name: file name.
    """
    return f"{index % 10}/{index}_{name}.mp4"


def _write_all(root: Path, config: SampleConfig) -> None:
    annotations: dict[str, SampleEntry] = {}
    truth: dict[str, _VideoTruth] = {}
    boxes: dict[str, dict[str, list[list[Any]]]] = {}
    for index in range(config.videos):
        clip, name = make_clip(index, config), video_id(index, "sample")
        write_video(root / "videos" / name, clip.frames, config.fps)
        annotations[Path(name).name] = annotation(clip, config)
        truth[Path(name).name] = _truth(clip, config)
        boxes[Path(name).name] = true_boxes(clip)
    if config.broken:
        annotations |= write_broken(root / "videos", annotations, config)
    for file, content in (("annotations", annotations), ("truth", truth), ("true_boxes", boxes)):
        _dump(root / f"{file}.json", content)


def annotation(clip: AnnotatedClip, config: SampleConfig) -> SampleEntry:
    """Entry of a clip in HC-STVG v2's format: boxes [x, y, w, h] from the 1-based frame `st_frame` on.

    Args:
        clip: rendered clip with its sentence.
        config: size and rate.
    """
    span, seen = clip.span, clip.truth[clip.target]
    return {
        "bbox": [_xywh(seen[frame]) for frame in span],
        "st_time": span.start / config.fps,
        "ed_time": span.stop / config.fps,
        "img_num": config.fps * SECONDS,
        "English": clip.text,
        "img_size": [config.height, config.width],
        "st_frame": span.start + 1,
    }


def _xywh(instance: Instance | None) -> list[float]:
    assert instance is not None, "the figure is visible on all frames of a span"
    x1, y1, x2, y2 = instance.box
    return [float(x1), float(y1), float(x2 - x1), float(y2 - y1)]


class _FigureTruth(TypedDict):
    name: str
    boxes: list[list[float] | None]
    counts: list[str | None]
    visible: list[int]
    whole: list[int]


class _VideoTruth(TypedDict):
    size: list[int]
    frames: int
    target: int
    span: list[int]
    figures: list[_FigureTruth]


def _truth(clip: AnnotatedClip, config: SampleConfig) -> _VideoTruth:
    """Every figure on every frame: half-open boxes, COCO counts, visible pixels, and pixels without occlusion."""
    return {
        "size": [config.height, config.width],
        "frames": config.frames,
        "target": clip.target,
        "span": [clip.span.start, clip.span.stop],
        "figures": [
            {
                "name": figure.look.name,
                "boxes": [None if i is None else list(i.box) for i in seen],
                "counts": [None if i is None else i.counts.decode("ascii") for i in seen],
                "visible": [0 if i is None else i.area for i in seen],
                "whole": whole,
            }
            for figure, seen, whole in zip(clip.scene.figures, clip.truth, clip.whole, strict=True)
        ],
    }


def true_boxes(clip: AnnotatedClip) -> dict[str, list[list[Any]]]:
    """Output of a perfect detector: frame -> [x1, y1, x2, y2, category, score] of each sufficiently visible figure."""
    scores = np.random.default_rng([*clip.scene.seed, 5]).uniform(0.6, 0.99, len(clip.truth)).round(3)
    boxes: dict[str, list[list[Any]]] = {}
    for frame in range(len(clip.frames)):
        boxes[str(frame)] = [
            [*instance.box, "person", float(scores[k])]
            for k, seen in enumerate(clip.truth)
            if (instance := seen[frame]) is not None and instance.area >= DETECTABLE * clip.whole[k][frame]
        ]
    return boxes


def _dump(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1 if path.name == "sample.json" else None) + "\n", "utf-8")


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
