"""HC-STVG v2: one sentence a video, boxes on every native frame of its span.

The annotation file is a JSON object, video file name -> record. `st_frame` is 1-based; `bbox` holds x, y, width, height
for each frame from it on; `img_size` is height, width. Videos lie in folders 0 to 9 below the videos folder.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.datasets.base import AnnotationError, Benchmark, Clip, Sample, VideoJob, videos_below
from tasks.masks import Box
from tasks.video import VIDEO_SUFFIXES, Source

FIELDS = ("bbox", "st_time", "ed_time", "st_frame", "English", "img_size")


def read_hcstvg(annotations: Path, videos: Path) -> Benchmark:
    """Read HC-STVG v2 annotations.

    Args:
        annotations: the JSON file.
        videos: the folder that holds the videos, at any depth.

    Raises:
        AnnotationError: the file is not of this format, or a name leads out of the videos folder.
    """
    found = {Path(name).name: path for name, path in videos_below(videos, VIDEO_SUFFIXES).items()}
    counts: Counter[str] = Counter()
    jobs = []
    for name, record in sorted(_load(annotations).items()):
        counts["records"] += 1
        if Path(name).name != name:
            raise AnnotationError(f"{annotations}: '{name}' is not a plain file name")
        counts["videos missing"] += name not in found
        jobs.append(_job(Source(name, found.get(name, videos / name)), record, counts, f"{annotations}: '{name}'"))
    return Benchmark(jobs, {reason: count for reason, count in counts.items() if count})


def _load(annotations: Path) -> dict[str, Any]:
    try:
        value = json.loads(annotations.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AnnotationError(f"there is no annotation file '{annotations}'") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise AnnotationError(f"'{annotations}' is not a JSON file ({error})") from error
    if not isinstance(value, dict) or not value:
        raise AnnotationError(f"'{annotations}' is not HC-STVG: it must be an object, video file name -> record")
    return value


def _job(source: Source, record: Mapping[str, Any], counts: Counter[str], where: str) -> VideoJob:
    missing = [name for name in FIELDS if not isinstance(record, Mapping) or name not in record]
    if missing:
        raise AnnotationError(f"{where} lacks '{missing[0]}': this is not HC-STVG v2's format")
    try:
        height, width = (int(value) for value in record["img_size"])
        raw = [_corners(box) for box in record["bbox"]]
        span = float(record["st_time"]), float(record["ed_time"])
        start_frame = int(record["st_frame"]) - 1
    except (TypeError, ValueError) as error:
        raise AnnotationError(f"{where} has a value of the wrong kind: {error}") from error
    if not raw or start_frame < 0:
        raise AnnotationError(f"{where} has no boxes, or an st_frame below 1")
    boxes = tuple(_clipped(box, width, height) for box in raw)
    counts["boxes clipped to the image"] += sum(before != after for before, after in zip(raw, boxes, strict=True))
    clip = Clip(source.video_id)
    sample = Sample(source.video_id, clip.clip_id, str(record["English"]).strip(), *span, start_frame, boxes)
    return VideoJob(source, (clip,), (sample,))


def _corners(box: Any) -> Box:
    x, y, width, height = (float(value) for value in box)
    return x, y, x + width, y + height


def _clipped(box: Box, width: int, height: int) -> Box:
    x1, y1, x2, y2 = box
    return min(max(x1, 0.0), width), min(max(y1, 0.0), height), min(max(x2, 0.0), width), min(max(y2, 0.0), height)
