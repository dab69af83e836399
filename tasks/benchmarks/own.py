"""A user's own videos and sentences in JSON Lines, one sample per line (`docs/benchmarks.md`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from string import ascii_uppercase
from typing import Any, ClassVar

from pydantic import Field

from storage.common.config import Input
from storage.folders.folder import FolderLike
from tasks.benchmarks.collector import SampleCollector
from tasks.benchmarks.own_boxes import own_targets
from tasks.benchmarks.question_rules import stored_record
from tasks.benchmarks.reading import (
    annotation_file,
    finite_number,
    frame_number,
    load_lines,
    parse_json,
    plain_text,
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
    """Read JSON Lines; a video is identified by its path below the videos folder, and a field that is null is absent.

    Args:
        annotations: JSON Lines file.
        videos: folder that video paths are relative to.

    Raises:
        AnnotationError: a line has another format or an unknown field, contradicts itself, or names a path outside the videos
            folder; the message names line and field.
    """
    collector = SampleCollector(Videos(videos))
    for number, line in load_lines(annotations, _KIND):
        where = f"{annotations}, line {number}"
        _add(collector, number, _record(line, where), where)
    return collector.benchmark()


def _record(line: str, where: str) -> Mapping[str, Any]:
    try:
        value = parse_json(line)
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"{where} is not JSON ({error})") from error
    record = {name: entry for name, entry in value.items() if entry is not None} if isinstance(value, dict) else value
    require(record, ("video", "sentence"), where, _KIND)
    unknown = sorted(set(value) - set(FIELDS))
    if unknown:
        raise AnnotationError(f"{where} has an unknown field '{unknown[0]}': known are {', '.join(FIELDS)}")
    return dict(record)


def _add(collector: SampleCollector, number: int, record: Mapping[str, Any], where: str) -> None:
    collector.counts["lines"] += 1
    source = _source(collector, record["video"], where)
    with record_errors(where):
        clip = _clip(source.video_id, _pair(record, "clip", finite_number))
        span_s, frames = _span_s(record), _span_frames(record)
        if span_s is not None and frames is not None and not _agree(span_s, frames, clip.start_s):
            raise ValueError("'span_s' and 'span_frames' both state the true span, and differently: give one of them")
        targets, outside = own_targets(record.get("boxes"), frames)
        collector.counts["boxes outside the true span, left out"] += outside
        if frames is None and span_s is None and targets:
            frames = int(targets[0].frames[0]), int(targets[0].frames[-1])
        sample = _sample(record, number, clip, targets, span_s, frames)
    collector.add_sample(source.video_id, clip, sample, None if clip.end_s is None else clip.end_s - clip.start_s)


def _sample(
    record: Mapping[str, Any],
    number: int,
    clip: Clip,
    targets: tuple[Target, ...],
    span_s: tuple[float, float] | None,
    frames: tuple[int, int] | None,
) -> Sample:
    start_s, end_s = span_s or (None, None)
    start_frame, end_frame = frames or (None, None)
    options, answer = _options(record.get("options")), _text(record, "answer")
    return Sample(
        sample_id=_text(record, "sample_id") or str(number),
        clip_id=clip.clip_id,
        sentence=_sentence(record),
        task=_task(record, bool(targets), span_s is not None or frames is not None),
        start_s=start_s,
        end_s=end_s,
        start_frame=start_frame,
        end_frame=end_frame,
        targets=targets,
        group=_text(record, "group"),
        options=options,
        answer=_letter(options, answer) if options else answer,
        record=stored_record(f"line {number}", "multiple_choice") if options else f"line {number}",
    )


def _source(collector: SampleCollector, name: Any, where: str) -> Source:
    path = video_path(name, where)
    file = collector.videos.below(path, where)
    collector.counts["samples of missing videos"] += not quick_stat(file)
    source = Source(path.as_posix(), file)
    collector.add_source(source)
    return source


def _clip(video_id: str, span_s: tuple[float, float] | None) -> Clip:
    if span_s is None:
        return Clip(video_id)
    start, end = span_s
    if not 0 <= start < end:
        raise ValueError(f"'clip' runs from {start} to {end} s")
    return Clip(f"{video_id}:{start:g}-{end:g}", start, end)


def _span_s(record: Mapping[str, Any]) -> tuple[float, float] | None:
    span_s = _pair(record, "span_s", finite_number)
    if span_s is not None and span_s[0] < 0:
        raise ValueError(f"'span_s' begins at {span_s[0]:g} s, before the clip")
    return span_s


def _span_frames(record: Mapping[str, Any]) -> tuple[int, int] | None:
    frames = _pair(record, "span_frames", frame_number)
    if frames is not None and frames[0] > frames[1]:
        raise ValueError(f"'span_frames' runs from {frames[0]} to {frames[1]}")
    return frames


def _agree(span_s: tuple[float, float], frames: tuple[int, int], clip_start_s: float) -> bool:
    """Whether seconds of the clip and native frames, closed, are one span at some frame rate, up to a frame at each end."""
    start_s, end_s = span_s[0] + clip_start_s, span_s[1] + clip_start_s
    starts, ends = _rates(start_s, frames[0] - 1, frames[0] + 1), _rates(end_s, frames[1] - 1, frames[1] + 2)
    return max(starts[0], ends[0]) <= min(starts[1], ends[1])


def _rates(time_s: float, least: int, most: int) -> tuple[float, float]:
    """Least and greatest frame rate at which a time falls on one of these frames."""
    if time_s > 0:
        return least / time_s, most / time_s
    return (0.0, math.inf) if least <= 0 else (math.inf, 0.0)


def _pair(record: Mapping[str, Any], name: str, convert: Callable[[Any], Any]) -> tuple[Any, Any] | None:
    """A field with a list of two numbers; None where it is absent."""
    if name not in record:
        return None
    value = record[name]
    if not isinstance(value, list) or len(value) != 2 or any(isinstance(end, str) for end in value):
        raise ValueError(f"'{name}' must be a list of two numbers, not {value!r:.40}")
    try:
        first, last = (convert(end) for end in value)
    except ValueError as error:
        raise ValueError(f"'{name}': {error}") from None
    return first, last


def _sentence(record: Mapping[str, Any]) -> str:
    sentence = stripped_text(record["sentence"])
    if not sentence:
        raise ValueError("'sentence' is empty")
    return sentence


def _text(record: Mapping[str, Any], name: str) -> str:
    try:
        return plain_text(record.get(name, ""))
    except ValueError as error:
        raise ValueError(f"'{name}': {error}") from None


def _options(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise TypeError("options is not a list")
    if len(value) > len(ascii_uppercase):
        raise ValueError(f"'options' has {len(value)} entries: choices have the letters A to Z")
    return tuple(plain_text(option) for option in value)


def _letter(options: tuple[str, ...], answer: str) -> str:
    """Letter of the true choice, which may be stated as its text."""
    return ascii_uppercase[options.index(answer)] if answer in options and len(answer) > 1 else answer


def _task(record: Mapping[str, Any], boxes: bool, span: bool) -> Task:
    """Task as stated, or derived from the kind of truth."""
    if "task" in record:
        if record["task"] not in list(Task):
            raise ValueError(f"'task' is {record['task']!r:.40}, none of {', '.join(Task)}")
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
