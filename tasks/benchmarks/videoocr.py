"""MME-VideoOCR: questions about text in videos, scored by multiple choice, containment or a judge.

The annotation file is a JSON list of `video_index, question, option, answer, eval_method, task, task_type`. The group of a
sample is `<task_type>/<task>`; its record contains the number of the item and its `eval_method`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from storage.folders.folder import FolderLike
from tasks.benchmarks.collector import SampleCollector
from tasks.benchmarks.question_rules import METHODS, stored_record
from tasks.benchmarks.reading import annotation_file, load_list, plain_text, record_errors, require, stripped_text
from tasks.benchmarks.samples import Benchmark, Clip, Sample, Task
from tasks.benchmarks.source import AnnotatedSource
from tasks.benchmarks.videos import Videos

_FIELDS = ("video_index", "question", "answer", "eval_method", "task", "task_type")


def read_videoocr(annotations: Path, videos: FolderLike) -> Benchmark:
    """Read MME-VideoOCR.

    Args:
        annotations: `dataset.json`.
        videos: folder with `<video_index>.mp4` at any depth.

    Raises:
        AnnotationError: the file has another format, or a name points outside the videos folder.
    """
    collector = SampleCollector(Videos(videos))
    for number, record in enumerate(load_list(annotations, "MME-VideoOCR")):
        where = f"{annotations}: item {number}"
        require(record, _FIELDS, where, "MME-VideoOCR's format")
        with record_errors(where):
            if record["eval_method"] not in METHODS:
                raise ValueError(f"eval_method {record['eval_method']!r} is none of {', '.join(METHODS)}")
            if record["video_index"] is None:
                raise TypeError("video_index is neither a text nor a number")
            name, question = plain_text(record["video_index"]), stripped_text(record["question"])
            answer = "" if record["answer"] is None else plain_text(record["answer"])
            video_id = collector.add_video(name if name.endswith(".mp4") else f"{name}.mp4", where)
            options = _options(record.get("option"))
        collector.counts["items"] += 1
        collector.counts[f"items scored by {record['eval_method']}"] += 1
        sample = Sample(
            str(number),
            video_id,
            question,
            Task.QUESTION,
            group=f"{record['task_type']}/{record['task']}",
            options=options,
            answer=answer,
            record=stored_record(number, record["eval_method"]),
        )
        collector.add_sample(video_id, Clip(video_id), sample)
    return collector.benchmark()


def _options(value: Any) -> tuple[str, ...]:
    """Options given as a list, as an object by letter, or as a string with one option per line."""
    if isinstance(value, dict):
        return tuple(f"{letter}. {text}" for letter, text in value.items())
    if isinstance(value, str):
        return tuple(line.strip() for line in value.splitlines() if line.strip())
    return tuple(plain_text(choice) for choice in value or ())


class VideoocrSource(AnnotatedSource):
    """MME-VideoOCR: questions about text in videos."""

    benchmark: ClassVar[str] = "mme-videoocr"

    def read(self) -> Benchmark:
        """Read the annotations."""
        return read_videoocr(annotation_file(self.annotations), self.videos)
