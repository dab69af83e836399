"""Charades-STA: temporal grounding in seconds of the video; annotations as text or in either of two JSON formats.

Text: `3MSZA 24.3 30.4##person turn a light on.`, with durations in a separate CSV. JSON: an object, video ID -> `timestamps`,
`sentences` and `duration` or `video_duration`. True spans end up to 1.5 s after the video; they are never clipped.
"""

from __future__ import annotations

import csv
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from storage.common.config import Input, Located
from storage.folders.folder import FolderLike
from tasks.benchmarks.collector import SampleCollector
from tasks.benchmarks.reading import (
    UTF_8,
    annotation_file,
    finite_number,
    load_lines,
    load_object,
    record_errors,
    require,
    stripped_text,
)
from tasks.benchmarks.samples import AnnotationError, Benchmark, Clip, Sample, Task, VideoFacts
from tasks.benchmarks.source import AnnotatedSource
from tasks.benchmarks.videos import Videos

_KIND = "Charades-STA's JSON format"


def read_charades(annotations: Path, videos: FolderLike, durations: Path | None = None) -> Benchmark:
    """Read Charades-STA.

    Args:
        annotations: text file or JSON file, distinguished by suffix and first character.
        videos: folder with `<id>.mp4` at any depth.
        durations: `Charades_v1_*.csv`, for the text format.

    Raises:
        AnnotationError: a file has another format, or a name points outside the videos folder.
    """
    collector = SampleCollector(Videos(videos))
    lengths = {} if durations is None else _durations(durations)
    rows = _json(annotations) if _is_json(annotations) else _text(annotations, lengths)
    for number, (vid, sentence, (start_s, end_s), duration_s, where) in enumerate(rows):
        collector.counts["queries"] += 1
        video_id = collector.add_video(f"{vid}.mp4", where, VideoFacts(duration_s=duration_s))
        sample = Sample(
            sample_id=f"{vid}:{number}",
            clip_id=video_id,
            sentence=sentence.strip(),
            task=Task.TEMPORAL,
            start_s=start_s,
            end_s=end_s,
            record=where,
        )
        collector.add_sample(video_id, Clip(video_id), sample, duration_s)
    return collector.benchmark()


def _is_json(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return path.suffix == ".json" or file.read(256).removeprefix(BOM_UTF8).lstrip()[:1] in {b"{", b"["}
    except OSError:
        return False  # the reader of the text format reports the error


Row = tuple[str, str, tuple[float, float], float | None, str]
"""Video, sentence, true span in seconds, duration in seconds, position in the annotations."""


def _json(path: Path) -> Iterator[Row]:
    for vid, record in load_object(path, "Charades-STA").items():
        where = f"{path}: '{vid}'"
        require(record, ("timestamps", "sentences"), where, _KIND)
        with record_errors(where):
            value = record.get("duration", record.get("video_duration"))
            duration = None if value is None else finite_number(value)
            spans = [_span(span) for span in record["timestamps"]]
            pairs = list(zip(spans, map(stripped_text, record["sentences"]), strict=True))
        for span, sentence in pairs:
            yield vid, sentence, span, duration, where


def _span(value: Any) -> tuple[float, float]:
    start, end = (finite_number(time) for time in value)
    return start, end


def _text(path: Path, lengths: Mapping[str, float]) -> Iterator[Row]:
    for number, line in load_lines(path, "Charades-STA"):
        where = f"{path}, line {number}"
        head, mark, sentence = line.partition("##")
        parts = head.split()
        if not mark or len(parts) != 3:
            raise AnnotationError(f"{where} is not Charades-STA's '<id> <start> <end>##<sentence>'")
        with record_errors(where):
            span = _span(parts[1:])
        yield parts[0], sentence, span, lengths.get(parts[0]), where


def _durations(path: Path) -> dict[str, float]:
    try:
        with path.open(encoding=UTF_8, newline="") as file, record_errors(str(path)):
            return {row["id"]: finite_number(row["length"]) for row in csv.DictReader(file)}
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"'{path}' is not Charades' CSV with columns id and length ({error})") from error


class CharadesSource(AnnotatedSource):
    """Charades-STA: when something happens; as text or JSON."""

    benchmark: ClassVar[str] = "charades-sta"

    annotations: Input = Field(
        "", title="Annotation file", description="The file charades_sta_test.txt, or the benchmark in either JSON form."
    )
    durations: Located = Field(
        "", title="Durations", description="The file Charades_v1_test.csv, which the text form needs; empty for none."
    )

    def read(self) -> Benchmark:
        """Read the annotations."""
        durations = annotation_file(self.durations) if self.durations else None
        return read_charades(annotation_file(self.annotations), self.videos, durations)
