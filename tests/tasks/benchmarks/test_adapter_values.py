"""Values that a reader must not let through: they become an `AnnotationError`, never another exception or a silent text."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.benchmarks.charades import read_charades
from tasks.benchmarks.mevis import read_mevis
from tasks.benchmarks.own import read_own
from tasks.benchmarks.samples import AnnotationError, Benchmark, Task
from tasks.benchmarks.st_align import extract_sentence, read_st_align
from tasks.benchmarks.tvgbench import read_tvgbench
from tasks.benchmarks.videoocr import read_videoocr
from tasks.benchmarks.vidstg import read_vidstg

NAN = float("nan")
LONG = "x" * 300
VIDSTG: dict[str, Any] = {
    "vid": "7",
    "frame_count": 40,
    "fps": 10,
    "width": 100,
    "height": 50,
    "used_segment": {"begin_fid": 0, "end_fid": 39},
    "temporal_gt": {"begin_fid": 3, "end_fid": 40},
    "captions": [{"description": "a dog runs.", "target_id": 3}],
    "questions": [],
}
TVGBENCH: dict[str, Any] = {"path": "a.mp4", "question": "When?", "answer": "1-2", "start": 0, "end": 9, "duration": 9}
VIDEOOCR: dict[str, Any] = {
    "video_index": 1, "question": "?", "answer": "B", "eval_method": "multiple_choice", "task": "t", "task_type": "TR"
}  # fmt: skip
OWN: dict[str, Any] = {"video": "a.mp4", "sentence": "It falls."}
META = {"split": [0, 9], "width": 9, "height": 9, "time_token": {"<s>": 1, "<e>": 2}, "spatial_token": {"<b>": {}}}

READERS: dict[str, Callable[[Path, Path], Benchmark]] = {
    "vidstg": read_vidstg,
    "st_align": lambda a, v: read_st_align(a, v, Task.SPATIAL),
    "mevis": lambda a, v: read_mevis(a, None, v, 6),
    "charades": read_charades,
    "tvgbench": read_tvgbench,
    "videoocr": read_videoocr,
    "own": read_own,
}


def charades(duration: Any = 1, end: Any = 1, sentence: Any = "x") -> dict[str, Any]:
    return {"A": {"duration": duration, "timestamps": [[0, end]], "sentences": [sentence]}}


def mevis(vid: str = "v", frames: Any = (), expression: Any = "x") -> dict[str, Any]:
    return {"videos": {vid: {"frames": frames, "expressions": {"0": {"exp": expression}}}}}


@pytest.mark.parametrize(
    ("reader", "value", "said"),
    [
        ("vidstg", [{**VIDSTG, "fps": 0}], "'fps' is 0: it must be above 0"),
        ("vidstg", [{**VIDSTG, "fps": NAN}], "not a finite"),
        ("vidstg", [{**VIDSTG, "vid": None}], "None is neither a text nor a number"),
        ("vidstg", [{**VIDSTG, "vid": LONG}], "more than 255 bytes"),
        ("vidstg", [{**VIDSTG, "captions": {}}], "captions is not a list"),
        ("vidstg", [{**VIDSTG, "captions": [{"description": None, "target_id": 1}]}], "not a text"),
        ("st_align", [{"video_path": "a.mp4", "conversations": [{"value": None}], "meta": META}], "not a text"),
        ("mevis", mevis(frames=3), "'frames' must be a list of names, not 3"),
        ("mevis", mevis(vid=LONG), "more than 255 bytes"),
        ("mevis", mevis(expression=None), "not a text"),
        ("charades", charades(duration="x"), "'x' is not a number"),
        ("charades", charades(end=NAN), "not a finite"),
        ("charades", charades(sentence=None), "not a text"),
        ("tvgbench", [{**TVGBENCH, "duration": NAN}], "not a finite"),
        ("tvgbench", [{**TVGBENCH, "question": None}], "not a text"),
        ("tvgbench", [{**TVGBENCH, "start": 9, "end": 1}], "start and end run"),
        ("tvgbench", "[" + "1" * 5000 + "]", "is not a JSON file"),
        ("videoocr", [{**VIDEOOCR, "video_index": None}], "video_index is neither"),
        ("videoocr", [{**VIDEOOCR, "question": None}], "not a text"),
        ("own", {**OWN, "video": f"{LONG}.mp4"}, "more than 255 bytes"),
        ("own", {**OWN, "span_s": [NAN, 1]}, "line 1 .* not a finite"),
        ("own", {**OWN, "clip": [0, float("inf")]}, "not a finite"),
        ("own", {**OWN, "options": "abc"}, "options is not a list"),
        ("own", {**OWN, "sentence": 5}, "not a text"),
        ("own", {**OWN, "span_frames": [5, 2]}, "'span_frames' runs from 5 to 2"),
        ("own", {**OWN, "span_frames": [-5, 2]}, "-5 is not a whole number"),
        ("own", '{"video": "a.mp4", "sentence": ' + "1" * 5000 + "}", "is not JSON"),
    ],
)
def test_values_of_the_wrong_kind_are_refused(tmp_path: Path, reader: str, value: Any, said: str) -> None:
    path = tmp_path / "anno.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    with pytest.raises(AnnotationError, match=said) as error:
        READERS[reader](path, tmp_path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def test_charades_forms_are_told_apart_by_content(tmp_path: Path) -> None:
    path = tmp_path / "charades"
    for content in (json.dumps(charades()), "A 0 1##x"):
        path.write_text(content)
        [job] = read_charades(path, tmp_path).jobs
        assert (job.samples[0].sentence, job.samples[0].end_s) == ("x", 1.0)


@pytest.mark.parametrize(
    ("prompt", "sentence"),
    [
        ("Given the video's frames, when is \"the man's dog jumps\" seen?", "the man's dog jumps"),
        ("When does 'the man's dog jumps' happen?", "the man's dog jumps"),
        ("Find \u201cthe dog that jumps\u201d.", "the dog that jumps"),
        ("<video> Find the man's dog. <s>", "Find the man's dog."),
    ],
)
def test_st_align_apostrophes_are_not_quotation_marks(prompt: str, sentence: str) -> None:
    assert extract_sentence([{"value": prompt}]) == sentence
