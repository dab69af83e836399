"""The sample on disk: videos and annotations as HC-STVG v2 ships them, and the truth that no benchmark has."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tasks.masks.instances import Instance
from tasks.sample.annotated_clip import AnnotatedClip, make_clip
from tasks.sample.broken import write_broken
from tasks.sample.encode import write_video
from tasks.sample.scene import SECONDS, SampleConfig

VERSION = 3
"""Goes up whenever the same configuration gives other files, so that an older sample is made anew."""
DETECTABLE = 0.25
"""Share of a figure that must be in sight for the true boxes to list it."""


def generate(root: Path, config: SampleConfig = SampleConfig()) -> None:  # noqa: B008 - frozen
    """Write the sample into `root`, unless the same one is there.

    Layout: `videos/<0-9>/<name>.mp4`; `annotations.json`, HC-STVG v2's format, keyed by file name; `truth.json` and
    `true_boxes.json`, keyed by file name too; `sample.json`, what it was made from, written last.

    Args:
        root: target folder.
        config: number of videos, seed, size and rate.
    """
    recipe = {"version": VERSION, **asdict(config)}
    if _read(root / "sample.json") == recipe:
        return
    # Built beside its place and renamed, so that half a sample is never taken for a whole one.
    building = root.with_name(f".{root.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    _write_all(building, config)
    _dump(building / "sample.json", recipe)
    shutil.rmtree(root, ignore_errors=True)
    building.rename(root)


def video_id(index: int, name: str) -> str:
    """Where video `index` lies below `videos`: HC-STVG spreads its files over folders 0 to 9.

    Args:
        index: 0-based number of the video.
        name: file name.
    """
    return f"{index % 10}/{index}_{name}.mp4"


def _write_all(root: Path, config: SampleConfig) -> None:
    annotations: dict[str, Any] = {}
    truth: dict[str, Any] = {}
    boxes: dict[str, Any] = {}
    for index in range(config.videos):
        story, name = make_clip(index, config), video_id(index, "sample")
        write_video(root / "videos" / name, story.frames, config.fps)
        annotations[Path(name).name] = annotation(story, config)
        truth[Path(name).name] = _truth(story, config)
        boxes[Path(name).name] = true_boxes(story)
    if config.broken:
        annotations |= write_broken(root / "videos", annotations, config)
    for file, content in (("annotations", annotations), ("truth", truth), ("true_boxes", boxes)):
        _dump(root / f"{file}.json", content)


def annotation(story: AnnotatedClip, config: SampleConfig) -> dict[str, Any]:
    """One entry of HC-STVG v2: boxes [x, y, w, h] for each frame from `st_frame`, which counts from 1.

    Args:
        story: painted clip with its sentence.
        config: size and rate.
    """
    span, seen = story.span, story.truth[story.target]
    return {
        "bbox": [_xywh(seen[frame]) for frame in span],
        "st_time": span.start / config.fps,
        "ed_time": span.stop / config.fps,
        "img_num": config.fps * SECONDS,
        "English": story.text,
        "img_size": [config.height, config.width],
        "st_frame": span.start + 1,
    }


def _xywh(instance: Instance | None) -> list[float]:
    assert instance is not None, "a span holds only frames where its figure is seen"
    x1, y1, x2, y2 = instance.box
    return [float(x1), float(y1), float(x2 - x1), float(y2 - y1)]


def _truth(story: AnnotatedClip, config: SampleConfig) -> dict[str, Any]:
    """Every figure on every frame; half-open boxes, COCO counts, pixels in sight and pixels were nobody before it."""
    return {
        "size": [config.height, config.width],
        "frames": config.frames,
        "target": story.target,
        "span": [story.span.start, story.span.stop],
        "figures": [
            {
                "name": figure.look.name,
                "boxes": [None if i is None else list(i.box) for i in seen],
                "counts": [None if i is None else i.counts.decode("ascii") for i in seen],
                "visible": [0 if i is None else i.area for i in seen],
                "whole": whole,
            }
            for figure, seen, whole in zip(story.scene.figures, story.truth, story.whole, strict=True)
        ],
    }


def true_boxes(story: AnnotatedClip) -> dict[str, list[list[Any]]]:
    """What a faultless detector finds: frame -> [x1, y1, x2, y2, category, score] of each figure well in sight."""
    scores = np.random.default_rng([*story.scene.seed, 5]).uniform(0.6, 0.99, len(story.truth)).round(3)
    boxes: dict[str, list[list[Any]]] = {}
    for frame in range(len(story.frames)):
        boxes[str(frame)] = [
            [*instance.box, "person", float(scores[k])]
            for k, seen in enumerate(story.truth)
            if (instance := seen[frame]) is not None and instance.area >= DETECTABLE * story.whole[k][frame]
        ]
    return boxes


def _dump(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1 if path.name == "sample.json" else None) + "\n", "utf-8")


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
