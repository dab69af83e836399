"""TVGBench: temporal grounding in 800 segments of videos from five sources.

The annotation file is a JSON list. `answer` is "13.4-28.1", seconds of the segment; `start` and `end`, if present, are the
seconds of the segment in the video, and 53 files have several segments. 11 answers have no duration; they cannot be matched,
and they count.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from pydantic import Field

from storage.folders.folder import FolderLike
from tasks.benchmarks.collector import SampleCollector
from tasks.benchmarks.reading import (
    annotation_file,
    finite_number,
    load_list,
    plain_text,
    record_errors,
    require,
    stripped_text,
    video_path,
)
from tasks.benchmarks.samples import Benchmark, Clip, Sample, Task
from tasks.benchmarks.source import AnnotatedSource
from tasks.benchmarks.videos import Videos

_KIND = "TVGBench's format"
_ANSWER = re.compile(r"\s*(\d+(?:\.\d+)?)\s*-\s*(\d+(?:\.\d+)?)\s*")


def read_tvgbench(annotations: Path, videos: FolderLike, cut: bool = False) -> Benchmark:
    """Read TVGBench; samples are grouped by `qsemtype`.

    Args:
        annotations: the JSON file.
        videos: folder of the videos, at any depth.
        cut: whether the files contain the segments only; `start` and `end` are then ignored.

    Raises:
        AnnotationError: the file has another format, or a name points outside the videos folder.
    """
    collector = SampleCollector(Videos(videos))
    for number, record in enumerate(load_list(annotations, "TVGBench")):
        where = f"{annotations}: item {number}"
        require(record, ("path", "question", "answer", "duration"), where, _KIND)
        with record_errors(where):
            start_s, end_s = _span(record)
            video_id = collector.add_video(_name(record, where), where)
            clip, duration_s = Clip(video_id) if cut else _clip(record, video_id), finite_number(record["duration"])
            sentence = stripped_text(record["question"])
        collector.counts["items"] += 1
        collector.counts["sentences not in lower case"] += sentence != sentence.lower()
        collector.counts["sentences without a full stop"] += not sentence.endswith((".", "?"))
        group = plain_text(record.get("qsemtype") or "")
        sample = Sample(
            sample_id=str(number),
            clip_id=clip.clip_id,
            sentence=sentence,
            task=Task.TEMPORAL,
            start_s=start_s,
            end_s=end_s,
            group=group,
            record=str(number),
        )
        collector.add_sample(video_id, clip, sample, duration_s)
    return collector.benchmark()


def _name(record: Mapping[str, Any], where: str) -> str:
    """File name without the folder on the authors' machine."""
    return PurePosixPath(video_path(record["path"], where)).name


def _clip(record: Mapping[str, Any], video_id: str) -> Clip:
    start, end = record.get("start"), record.get("end")
    if start is None or end is None:
        return Clip(video_id)
    start_s, end_s = finite_number(start), finite_number(end)
    if not 0 <= start_s < end_s:
        raise ValueError(f"start and end run from {start_s} to {end_s} s")
    return Clip(f"{video_id}:{start_s:.3f}-{end_s:.3f}", start_s, end_s)


def _span(record: Mapping[str, Any]) -> tuple[float, float]:
    match = _ANSWER.fullmatch(record["answer"])
    if match is None:
        raise ValueError(f"answer {record['answer']!r} is not '<seconds>-<seconds>'")
    return float(match[1]), float(match[2])


class TvgbenchSource(AnnotatedSource):
    """TVGBench: when something happens, in cut segments of five sources."""

    benchmark: ClassVar[str] = "tvgbench"

    cut: bool = Field(False, title="Already cut", description="The video files are cut to their segments already.")

    def read(self) -> Benchmark:
        """Read the annotations."""
        return read_tvgbench(annotation_file(self.annotations), self.videos, self.cut)
