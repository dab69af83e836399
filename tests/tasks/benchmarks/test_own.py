"""One's own JSON Lines as other tools write them: what is read, counted or refused with line and field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.benchmarks.own import read_own
from tasks.benchmarks.question_rules import stored_rule
from tasks.benchmarks.samples import AnnotationError, Benchmark, Sample, Task

LINE: dict[str, Any] = {"video": "a.mp4", "sentence": "It falls."}


def read(folder: Path, *lines: dict[str, Any] | str) -> Benchmark:
    path = folder / "anno.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), "utf-8")
    return read_own(path, folder)


def samples(benchmark: Benchmark) -> list[Sample]:
    return [sample for job in benchmark.jobs for sample in job.samples]


def test_null_is_absent(tmp_path: Path) -> None:
    names = ("sample_id", "clip", "task", "span_s", "span_frames", "boxes", "group", "options", "answer")
    [sample] = samples(read(tmp_path, {**LINE, **dict.fromkeys(names)}))
    assert (sample.sample_id, sample.group, sample.answer, sample.options) == ("1", "", "", ())
    assert (sample.task, sample.start_s, sample.targets) == (Task.SPATIO_TEMPORAL, None, ())
    with pytest.raises(AnnotationError, match="line 1 lacks 'sentence'"):
        read(tmp_path, {**LINE, "sentence": None})


@pytest.mark.parametrize("text", ["\u2028", "\u2029", "\x85", "\x0b", "\x1c"])
def test_only_line_ends_end_a_line(tmp_path: Path, text: str) -> None:
    line = json.dumps({**LINE, "sentence": f"It{text}falls."}, ensure_ascii=False)
    [first, second] = samples(read(tmp_path, "\ufeff" + line, {**LINE, "sentence": "Then"}))
    assert (first.sentence, second.record) == (f"It{text}falls.", "line 2")


def test_whole_numbers_are_read_as_pandas_writes_them(tmp_path: Path) -> None:
    lines = [
        {**LINE, "sample_id": 7, "boxes": {"4.0": [0, 0, 5, 5]}},
        {**LINE, "sample_id": 8.0, "span_frames": [4.0, 6.0], "group": 3.0, "answer": 12},
    ]
    first, second = samples(read(tmp_path, *lines))
    assert (first.sample_id, second.sample_id, second.group, second.answer) == ("7", "8", "3", "12")
    assert (first.targets[0].frames.tolist(), second.start_frame, second.end_frame) == ([4], 4, 6)


def test_seconds_and_frames_of_one_span_may_stand_together(tmp_path: Path) -> None:
    [sample] = samples(read(tmp_path, {**LINE, "clip": [0.5, 4], "span_s": [0.5, 1.5], "span_frames": [10, 20]}))
    assert (sample.start_s, sample.end_s, sample.start_frame, sample.end_frame) == (0.5, 1.5, 10, 20)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"span_s": "1.0-2.0"}, "'span_s' must be a list of two numbers, not '1.0-2.0'"),
        ({"span_s": "12"}, "'span_s' must be a list of two numbers"),
        ({"span_s": ["1", "2"]}, "'span_s' must be a list of two numbers"),
        ({"span_s": [1, 2, 3]}, "'span_s' must be a list of two numbers"),
        ({"span_s": 3.0}, "'span_s' must be a list of two numbers, not 3.0"),
        ({"span_s": {"1": 5, "2": 9}}, "'span_s' must be a list of two numbers"),
        ({"span_s": [1, None]}, "'span_s': None is not a number"),
        ({"span_s": [-1, 1]}, "'span_s' begins at -1 s, before the clip"),
        ({"span_s": [0, 1], "span_frames": [100, 120]}, "'span_s' and 'span_frames' both state the true span"),
        ({"span_frames": [1.5, 2]}, "'span_frames': 1.5 is not a whole number"),
        ({"clip": "0-5"}, "'clip' must be a list of two numbers"),
        ({"boxes": [[1, 2, 3, 4]]}, "'boxes' must be an object frame -> "),
        ({"boxes": {"0": [1, 2, 3]}}, "'boxes', frame 0, must be four numbers"),
        ({"boxes": {"1": [0, 0, 5, 5], "01": [0, 0, 5, 5]}}, "'boxes' has frame 1 twice"),
        ({"boxes": {"0": [0.1, 0.2, 0.3, 0.4]}}, "'boxes' has no coordinate above 1: give pixels"),
        ({"boxes": {"50": [10, 20, 50, 40]}, "span_frames": [10, 20]}, "'boxes' has no frame inside 'span_frames'"),
        ({"sentence": "   "}, "'sentence' is empty"),
        ({"task": "guess"}, "'task' is 'guess', none of spatio-temporal"),
        ({"group": True}, "'group': True is neither a text nor a number"),
        ({"answer": float("nan")}, "'answer': nan is neither"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_line_and_field(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(AnnotationError, match=r"anno\.jsonl, line 2 ") as error:
        read(tmp_path, LINE, {**LINE, **fields})
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_choice_is_stated_by_its_letter_or_its_text(tmp_path: Path) -> None:
    options = ["a cat", "a dog"]
    first, second, third = samples(read(tmp_path, *({**LINE, "options": options, "answer": a} for a in ("B", "a dog", None))))
    assert (first.answer, second.answer, third.answer) == ("B", "B", "")
    assert stored_rule(second.record, second.group).method == "multiple_choice"


def test_a_field_named_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"line 1 is not JSON .*'video' twice"):
        read(tmp_path, '{"video": "a.mp4", "video": "b.mp4", "sentence": "x"}')


def test_boxes_outside_the_true_span_are_left_out_and_counted(tmp_path: Path) -> None:
    boxes = {str(frame): [0, 0, 5, 5] for frame in (8, 10, 12, 30)}
    benchmark = read(tmp_path, {**LINE, "boxes": boxes, "span_frames": [9, 20]})
    [sample] = samples(benchmark)
    assert sample.targets[0].frames.tolist() == [10, 12]
    assert benchmark.records["boxes outside the true span, left out"] == 2


def test_seconds_beside_boxes_are_the_true_span(tmp_path: Path) -> None:
    [sample] = samples(read(tmp_path, {**LINE, "boxes": {"8": [0, 0, 5, 5]}, "span_s": [1, 2]}))
    assert (sample.start_s, sample.end_s, sample.start_frame) == (1, 2, None), "frames follow from the video's times"


READ = ("02_bom", "44_null_sample_id", "45_null_fields", "47_null_answer", "48_u2028", "pandas_optional_columns")
NOTED = ("28_boxes_beyond",)
"""Read here; the build notes `boxes_outside_image`, for only the video has a size."""


def test_lines_from_the_field(shared: Path, tmp_path: Path) -> None:
    """Each file of the field is read, or refused with its line."""
    for path in sorted((shared / "cases" / "own").glob("*.jsonl")):
        if path.stem in {*READ, *NOTED}:
            each = samples(read_own(path, tmp_path))
            assert not [s for s in each if "None" in (s.group, s.answer, s.sample_id)], path.stem
        else:
            with pytest.raises(AnnotationError, match=f"{path.name}, line 1 has a value of the wrong kind: '"):
                read_own(path, tmp_path)


def test_optional_columns_of_pandas(shared: Path, tmp_path: Path) -> None:
    first, second = samples(read_own(shared / "cases" / "own" / "pandas_optional_columns.jsonl", tmp_path))
    assert (first.task, first.group, first.answer) == (Task.TEMPORAL, "dogs", "")
    assert (second.task, second.group, second.answer, second.start_s) == (Task.QUESTION, "", "a dog", None)
