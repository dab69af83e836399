"""HC-STVG v1 and v2: one sentence per video, boxes on every native frame of its span.

The annotation file is a JSON object, video file name -> record. `st_frame` is 1-based; `bbox` contains x, y, width, height of
each frame from there on. v1 has `caption`, `width`, `height`; v2 has `English` and `img_size`, which is height, width. The test
queries of v2 are a JSON object, video file name -> sentence. Videos are in folders 0 to 9 below the videos folder, .mp4 and
.mkv.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from storage.common.config import Input
from storage.folders.folder import FolderLike
from tasks.benchmarks.collector import SampleCollector
from tasks.benchmarks.reading import (
    annotation_file,
    finite_number,
    frame_number,
    load_object,
    record_errors,
    require,
    stripped_text,
)
from tasks.benchmarks.samples import AnnotationError, Benchmark, Clip, Sample, Task, VideoFacts
from tasks.benchmarks.source import AnnotatedSource
from tasks.benchmarks.targets import clipped_target, corners_from_xywh
from tasks.benchmarks.videos import Videos

Version = Literal["v1", "v2"]
SENTENCE: Mapping[Version, str] = {"v1": "caption", "v2": "English"}
"""Field of the sentence, which distinguishes the versions."""
_FIELDS = ("bbox", "st_time", "ed_time", "st_frame")
_CLIP_S = 20.0
"""Every clip has 20 s (README of the release); damaged ones are shorter."""
_AGREEMENT_FRAMES = 2
"""Largest difference between annotated seconds and frames with boxes that rounding explains."""


def read_hcstvg(annotations: Path, videos: FolderLike, version: Version | None = None) -> Benchmark:
    """Read HC-STVG annotations, or the test queries of v2, which have no truth.

    Args:
        annotations: JSON file.
        videos: folder of the videos, at any depth.
        version: required version; None determines it from each record.

    Raises:
        AnnotationError: the file has another format, or a name points outside the videos folder.
    """
    collector = SampleCollector(Videos(videos))
    kind = f"HC-STVG {version or 'v1 or v2'}"
    for name, record in load_object(annotations, kind).items():
        where = f"{annotations}: '{name}'"
        if Path(name).name != name:
            raise AnnotationError(f"{where} is not a plain file name, as {kind} requires for videos")
        collector.counts["records"] += 1
        if isinstance(record, str):
            collector.counts["records without truth"] += 1
            video_id = collector.add_video(name, where)
            collector.add_sample(video_id, Clip(video_id), Sample(video_id, video_id, record.strip(), record=name))
        else:
            _add(collector, name, record, version or _version_of(record), where)
    return collector.benchmark()


def _version_of(record: Any) -> Version:
    return "v1" if isinstance(record, Mapping) and SENTENCE["v1"] in record and SENTENCE["v2"] not in record else "v2"


def _add(collector: SampleCollector, name: str, record: Any, version: Version, where: str) -> None:
    size_fields = ("width", "height") if version == "v1" else ("img_size",)
    require(record, (*_FIELDS, SENTENCE[version], *size_fields), where, f"HC-STVG {version}'s format")
    with record_errors(where):
        width, height = _size(record, version)
        start = frame_number(record["st_frame"]) - 1
        boxes = [corners_from_xywh(box) for box in record["bbox"]]
        if not boxes or start < 0:
            raise ValueError("it has no boxes, or an st_frame below 1")
        target, outside = clipped_target(range(start, start + len(boxes)), boxes, (width, height))
        count = frame_number(record["img_num"]) if record.get("img_num") is not None else None
        facts = VideoFacts(count, width, height, duration_s=_CLIP_S)
        video_id = collector.add_video(name, where, facts)
        span = finite_number(record["st_time"]), finite_number(record["ed_time"]), start, start + len(boxes) - 1
        sentence = stripped_text(record[SENTENCE[version]])
    collector.counts["boxes clipped to the image"] += outside
    collector.counts["spans beyond the stated frames"] += count is not None and span[3] >= count
    collector.counts["times and boxes that disagree"] += count is not None and _disagree(span, count)
    start_s, end_s, start_frame, end_frame = span
    sample = Sample(
        sample_id=video_id,
        clip_id=video_id,
        sentence=sentence,
        task=Task.SPATIO_TEMPORAL,
        start_s=start_s,
        end_s=end_s,
        start_frame=start_frame,
        end_frame=end_frame,
        targets=(target,),
        record=name,
    )
    collector.add_sample(video_id, Clip(video_id), sample, _CLIP_S)


def _disagree(span: tuple[float, float, int, int], count: int) -> bool:
    """Whether the annotated seconds and the frames with boxes differ by more than two frames at one end.

    Args:
        span: start and end in seconds, half-open, and first and last frame with a box.
        count: frames of the video, which lasts 20 s.
    """
    start_s, end_s, start_frame, end_frame = span
    fps = count / _CLIP_S
    return max(abs(start_s * fps - start_frame), abs(end_s * fps - (end_frame + 1))) > _AGREEMENT_FRAMES


def _size(record: Mapping[str, Any], version: Version) -> tuple[int, int]:
    height, width = record["img_size"] if version == "v2" else (record["height"], record["width"])
    return frame_number(width), frame_number(height)


class HcstvgSource(AnnotatedSource):
    """HC-STVG, v1 or v2 as the annotation file says."""

    benchmark: ClassVar[str] = "hcstvg"
    version: ClassVar[Version | None] = None

    annotations: Input = Field("", title="Annotation file", description="HC-STVG's JSON file, such as val_v2.json.")
    videos: Input = Field("", title="Videos folder", description="Folder that holds the folders 0 to 9 of the release.")

    def read(self) -> Benchmark:
        """Read the annotations."""
        return read_hcstvg(annotation_file(self.annotations), self.videos, self.version)


class HcstvgV1Source(HcstvgSource):
    """HC-STVG v1; the paper reports its test split."""

    benchmark: ClassVar[str] = "hcstvg-v1"
    version: ClassVar[Version | None] = "v1"


class HcstvgV2Source(HcstvgSource):
    """HC-STVG v2; the paper reports its validation split."""

    benchmark: ClassVar[str] = "hcstvg-v2"
    version: ClassVar[Version | None] = "v2"
