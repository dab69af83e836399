"""TVGBench: when something happens, in 800 segments cut from five sources.

The annotation file is a JSON list. `answer` is "13.4-28.1", seconds of the cut segment; `start` and `end` say where it was cut
from the raw video, whose file is not the one named. 11 answers have no length: nobody can win them, and they count.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from tasks.datasets.base import Benchmark, Clip, Sample, Stated, Task
from tasks.datasets.reading import Gathering, Videos, converting, load_list, plain_path, require

_KIND = "TVGBench's format"
_ANSWER = re.compile(r"\s*(\d+(?:\.\d+)?)\s*-\s*(\d+(?:\.\d+)?)\s*")


def read_tvgbench(annotations: Path, videos: Path) -> Benchmark:
    """Read TVGBench; samples are grouped by `qsemtype`.

    Args:
        annotations: the JSON file.
        videos: the folder that holds the cut segments, at any depth.

    Raises:
        AnnotationError: the file is not of this format, or a name leads out of the videos folder.
    """
    gathering = Gathering(Videos(videos))
    for number, record in enumerate(load_list(annotations, "TVGBench")):
        where = f"{annotations}: item {number}"
        require(record, ("path", "question", "answer", "duration"), where, _KIND)
        with converting(where):
            start_s, end_s = _span(record)
            video_id = gathering.video(_name(record, where), where, Stated(duration_s=float(record["duration"])))
            sentence = str(record["question"]).strip()
        gathering.counts["items"] += 1
        gathering.counts["sentences not in lower case"] += sentence != sentence.lower()
        gathering.counts["sentences without a full stop"] += not sentence.endswith((".", "?"))
        group = str(record.get("qsemtype", ""))
        sample = Sample(f"{number}", video_id, sentence, Task.TEMPORAL, start_s, end_s, group=group, record=str(number))
        gathering.add(video_id, Clip(video_id), sample)
    return gathering.benchmark()


def _name(record: Mapping[str, Any], where: str) -> str:
    """The file's name: its folder is that of the authors' machine."""
    return PurePosixPath(plain_path(record["path"], where)).name


def _span(record: Mapping[str, Any]) -> tuple[float, float]:
    found = _ANSWER.fullmatch(record["answer"])
    if found is None:
        raise ValueError(f"answer {record['answer']!r} is not '<seconds>-<seconds>'")
    return float(found[1]), float(found[2])
