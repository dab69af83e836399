"""A user's own videos and sentences in JSON Lines, one sample per line (`docs/benchmarks.md`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from storage.common.config import Input
from storage.folders.folder import FolderLike
from tasks.benchmarks.collector import SampleCollector
from tasks.benchmarks.reading import (
    annotation_file,
    clipped_target,
    finite_number,
    frame_number,
    load_lines,
    parse_json,
    record_errors,
    require,
    stripped_text,
    video_path,
)
from tasks.benchmarks.samples import AnnotationError, Benchmark, Clip, Sample, Target, Task
from tasks.benchmarks.source import AnnotatedSource
from tasks.benchmarks.videos import Videos
from tasks.video.fingerprint import quick_stat
from tasks.video.reader import Source

FIELDS = ("video", "sentence", "sample_id", "clip", "task", "span_s", "span_frames", "boxes", "group", "options", "answer")
_KIND = "the JSON Lines of docs/benchmarks.md"


def read_own(annotations: Path, videos: FolderLike) -> Benchmark:
    """Read JSON Lines; a video is identified by its path below the videos folder.

    Args:
        annotations: JSON Lines file.
        videos: folder that video paths are relative to.

    Raises:
        AnnotationError: a line has another format or an unknown field, or names a path outside the videos folder.
    """
    collector = SampleCollector(Videos(videos))
    for number, line in load_lines(annotations, _KIND):
        where = f"{annotations}, line {number}"
        _add(collector, number, _record(line, where), where)
    return collector.benchmark()


def _record(line: str, where: str) -> Mapping[str, Any]:
    try:
        record = parse_json(line)
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"{where} is not JSON ({error})") from error
    require(record, ("video", "sentence"), where, _KIND)
    unknown = sorted(set(record) - set(FIELDS))
    if unknown:
        raise AnnotationError(f"{where} has an unknown field '{unknown[0]}': known are {', '.join(FIELDS)}")
    return dict(record)


def _add(collector: SampleCollector, number: int, record: Mapping[str, Any], where: str) -> None:
    collector.counts["lines"] += 1
    source = _source(collector, record["video"], where)
    with record_errors(where):
        clip = _clip(source.video_id, record.get("clip"))
        targets = _targets(record.get("boxes"))
        span_s, frames = _pair(record.get("span_s"), finite_number), _pair(record.get("span_frames"), frame_number)
        if frames is not None and not 0 <= frames[0] <= frames[1]:
            raise ValueError(f"span_frames runs from {frames[0]} to {frames[1]}")
        if frames is None and targets:
            frames = int(targets[0].frames[0]), int(targets[0].frames[-1])
        sample = Sample(
            str(record.get("sample_id", number)),
            clip.clip_id,
            stripped_text(record["sentence"]),
            _task(record, bool(targets), span_s is not None or frames is not None),
            start_s=span_s[0] if span_s else None,
            end_s=span_s[1] if span_s else None,
            start_frame=frames[0] if frames else None,
            end_frame=frames[1] if frames else None,
            targets=targets,
            group=str(record.get("group", "")),
            options=_options(record.get("options")),
            answer=str(record.get("answer", "")),
            record=f"line {number}",
        )
    collector.add_sample(source.video_id, clip, sample, None if clip.end_s is None else clip.end_s - clip.start_s)


def _source(collector: SampleCollector, name: Any, where: str) -> Source:
    path = video_path(name, where)
    file = collector.videos.below(path, where)
    collector.counts["samples of missing videos"] += not quick_stat(file)
    source = Source(path.as_posix(), file)
    collector.add_source(source)
    return source


def _clip(video_id: str, value: Any) -> Clip:
    if value is None:
        return Clip(video_id)
    start, end = (finite_number(time) for time in value)
    if not 0 <= start < end:
        raise ValueError(f"clip runs from {start} to {end} s")
    return Clip(f"{video_id}:{start:g}-{end:g}", start, end)


def _targets(boxes: Any) -> tuple[Target, ...]:
    if not boxes:
        return ()
    placed = {frame_number(frame): tuple(float(side) for side in box) for frame, box in boxes.items()}
    frames = sorted(placed)
    target, _ = clipped_target(frames, [placed[frame] for frame in frames], None)  # type: ignore[misc]
    return (target,)


def _options(value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, type(None))):
        raise TypeError("options is not a list")
    return tuple(str(option) for option in value or ())


def _pair(value: Any, kind: Callable[[Any], Any]) -> tuple[Any, Any] | None:
    if value is None:
        return None
    first, last = (kind(end) for end in value)
    return first, last


def _task(record: Mapping[str, Any], boxes: bool, span: bool) -> Task:
    """Task as stated, or derived from the kind of truth."""
    if "task" in record:
        return Task(record["task"])
    if "answer" in record or "options" in record:
        return Task.QUESTION
    return Task.TEMPORAL if span and not boxes else Task.SPATIO_TEMPORAL


class OwnSource(AnnotatedSource):
    """Your own videos and sentences, as JSON Lines."""

    benchmark: ClassVar[str] = "own"

    annotations: Input = Field(
        "", title="Annotation file", description="JSON Lines file with one sentence a line; see docs/benchmarks.md."
    )

    def read(self) -> Benchmark:
        """Read the annotations."""
        return read_own(annotation_file(self.annotations), self.videos)
