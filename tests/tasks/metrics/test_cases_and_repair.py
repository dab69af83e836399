from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.benchmarks.question_rules import QuestionRule, stored_record, stored_rule
from tasks.masks.instances import Box, box_iou
from tasks.metrics.cases import ScoreError, read_cases, score_cases
from tasks.metrics.questions import is_correct
from tasks.metrics.regions import j_and_f
from tasks.metrics.repair import overlap_of_smaller, repair, repair_released

TUBE: dict[str, Any] = {"start_frame": 2, "end_frame": 3, "boxes": {"2": [0, 0, 5, 5], "3": [0, 0, 5, 5]}}
CASE: dict[str, Any] = {"sample_id": "s1", "fps": 25.0, "frame_count": 10, "gt": TUBE, "pred": TUBE}


def written(tmp_path: Path, value: Any) -> Path:
    path = tmp_path / "cases.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def changed(where: str, value: Any) -> dict[str, Any]:
    case = json.loads(json.dumps(CASE))
    *folders, name = where.split("/")
    inner = case
    for folder in folders:
        inner = inner[folder]
    if value is None:
        del inner[name]
    else:
        inner[name] = value
    return {"cases": [case]}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("{", "is not a JSON file"),
        ({"cases": []}, "holds no cases"),
        ({"cases": 3}, "holds no cases"),
        (7, "holds no cases"),
        ([3], "case 0 has no 'sample_id'"),
        ({"cases": [CASE, CASE]}, "sample 's1' is in .* twice"),
        (changed("fps", None), "sample 's1' lacks 'fps'"),
        (changed("fps", 0), "must be above 0"),
        (changed("frame_count", 2.5), "lacks 'frame_count', a whole number"),
        (changed("gt", None), "sample 's1': 'gt' is missing"),
        (changed("gt/boxes", {}), "'gt' has no boxes"),
        (changed("gt/start_frame", None), "'gt' lacks 'start_frame'"),
        (changed("gt/end_frame", 1), "'gt' has the span 2 to 1"),
        (changed("gt/end_frame", 99), "within 0 to 9"),
        (changed("gt/boxes/2", [5, 0, 0, 5]), "'gt', box of frame 2, has x2 < x1"),
        (changed("gt/boxes/2", [0, 0, 5]), "four finite numbers"),
        (changed("gt/boxes/2", [0, 0, 5, "x"]), "four finite numbers"),
        (changed("gt/boxes/2", [0, 0, 5, float("nan")]), "four finite numbers"),
        (changed("gt/boxes/11", [0, 0, 5, 5]), "a box of frame '11'"),
        (changed("gt/boxes/x", [0, 0, 5, 5]), "a box of frame 'x'"),
    ],
)
def test_a_bad_case_file_is_one_sentence_naming_sample_and_field(tmp_path: Path, value: Any, said: str) -> None:
    with pytest.raises(ScoreError, match=said) as error:
        read_cases(written(tmp_path, value))
    assert "\n" not in str(error.value)


def test_an_unknown_convention_names_the_known_ones() -> None:
    with pytest.raises(ScoreError, match="no convention 'x': choose from paper, hcstvg_official"):
        score_cases([], "x")


def test_a_missing_prediction_scores_zero_and_stays_in_the_denominator(tmp_path: Path) -> None:
    other = {**CASE, "sample_id": "s2", "pred": None}
    found = score_cases(read_cases(written(tmp_path, [CASE, other])))
    assert (found.convention, found.samples, found.missing) == ("paper", 2, 1)
    assert [found.metrics[name].mean for name in ("m_tIoU", "m_vIoU", "vIoU@0.5")] == [0.5, 0.5, 0.5]
    assert found.per_sample["s2"] == {"tIoU": 0, "vIoU": 0, "gt_vIoU": 0}


LEFT, RIGHT, BIG = (0.0, 0.0, 10.0, 10.0), (1.0, 0.0, 11.0, 10.0), (50.0, 50.0, 90.0, 90.0)


def test_algorithm_1_corrects_persistently_and_falls_back_to_the_largest() -> None:
    boxes: dict[int, dict[int, Box]] = {
        0: {1: LEFT, 9: BIG},
        1: {4: RIGHT, 9: BIG},
        2: {4: (30.0, 0.0, 40.0, 10.0), 9: BIG},
        3: {7: (20.0, 20.0, 22.0, 22.0), 9: BIG},
    }
    found = repair(boxes, 1, (0, 4))
    assert (found.kept, found.corrected, found.fallback) == (1, 2, 1)
    assert [tuple(b) for b in found.tube.boxes.tolist()] == [LEFT, RIGHT, boxes[2][4], BIG]
    assert found.tube.frames.tolist() == [0, 1, 2, 3], "a frame without objects has no box"
    nobody = repair(boxes, 5, (0, 3))
    assert (nobody.kept, nobody.corrected, nobody.fallback) == (0, 3, 1), "a fallback is the reference of the next frame"
    inside = {0: {1: (0.0, 0.0, 40.0, 40.0)}, 1: {2: (5.0, 5.0, 15.0, 15.0), 3: BIG}}
    assert repair(inside, 1, (0, 1)).corrected == 1, "0.6 of the smaller box is enough"


placed = st.dictionaries(
    st.integers(0, 9), st.dictionaries(st.integers(1, 4), st.sampled_from([LEFT, RIGHT, BIG]), min_size=1), max_size=10
)


def algorithm_1(boxes: dict[int, dict[int, Box]], target: int, span: tuple[int, int]) -> dict[int, Box]:
    """Lines 1 to 30 as printed: `ids` of a frame are changed in place, and line 16 reads them as they are by then."""
    frames = [t for t in range(span[0], span[1] + 1) if boxes.get(t)]
    ids = {t: {i: i for i in boxes[t]} for t in frames}  # ID by now -> ID of the box
    corrections: list[int] = []
    for t in frames:
        if target in ids[t]:
            continue
        for old in sorted(corrections):
            if old in ids[t] and target not in ids[t]:
                ids[t][target] = ids[t].pop(old)
        if target in ids[t]:
            continue
        references = [other for other in frames if target in ids[other]]
        if references:
            nearest = min(references, key=lambda other: (abs(other - t), other))
            reference = boxes[nearest][ids[nearest][target]]
            best = max(boxes[t], key=lambda i: (box_iou(reference, boxes[t][i]), -i))
            if box_iou(reference, boxes[t][best]) >= 0.4 or overlap_of_smaller(reference, boxes[t][best]) >= 0.6:
                ids[t][target] = ids[t].pop(best)
                corrections.append(best)
        if target not in ids[t]:
            ids[t][target] = max(boxes[t], key=lambda i: (area(boxes[t][i]), -i))
    return {t: boxes[t][ids[t][target]] for t in frames}


def area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


@given(placed, st.integers(1, 5))
def test_repair_is_algorithm_1_to_the_letter(boxes: dict[int, dict[int, Box]], object_id: int) -> None:
    repaired = repair(boxes, object_id, (2, 8))
    expected = algorithm_1(boxes, object_id, (2, 8))
    assert dict(zip(repaired.tube.frames.tolist(), map(tuple, repaired.tube.boxes.tolist()), strict=True)) == expected


@given(placed, st.integers(1, 5))
def test_repair_leaves_what_is_there_and_stays_in_the_span(boxes: dict[int, dict[int, Box]], object_id: int) -> None:
    for mend in (repair, repair_released):
        found = mend(boxes, object_id, (2, 7))
        assert set(found.tube.frames.tolist()) <= set(range(2, 8))
        assert found.kept + found.corrected + found.fallback == len(found.tube.frames)
        for frame, box in zip(found.tube.frames.tolist(), found.tube.boxes.tolist(), strict=True):
            if object_id in boxes.get(frame, {}):
                assert tuple(box) == boxes[frame][object_id]


def test_empty_masks_are_perfect_together_and_worthless_alone() -> None:
    empty, full = np.zeros((20, 30), np.bool_), np.ones((20, 30), np.bool_)
    full[:, 15:] = False
    assert j_and_f(empty, empty) == (1, 1)
    assert j_and_f(empty, full) == j_and_f(full, empty) == (0, 0)
    assert j_and_f(full, full) == (1, 1)
    assert j_and_f(full, full.T.copy().T) == (1, 1)


@pytest.mark.parametrize(
    ("method", "task", "truth", "answer", "right"),
    [
        ("containment_match", "Text Recognition", "Exit;Gate 4", "It says EXIT, gate 4.", True),
        ("containment_match", "Text Recognition", "Exit;Gate 4", "Exit", False),
        ("containment_match", "Trajectory Recognition", "hello", "it is hello", False),
        ("multiple_choice", "x", "B", "The answer is B.", True),
        ("multiple_choice", "x", "B", "C or B", False),
        ("multiple_choice", "x", "B", "none", False),
        ("multiple_choice", "x", "C", "Answer: C", True),
        ("multiple_choice", "x", "A", "Answer: C", False),
        ("multiple_choice", "x", "C", "The answer is C.", True),
        ("multiple_choice", "x", "C", "The best option is: C", True),
        ("multiple_choice", "x", "B", "The correct answer is (B) A cat", True),
        ("multiple_choice", "x", "A", "Option: A", True),
        ("multiple_choice", "x", "E", "The answer is E.", True),
        ("containment_match", "Text Recognition", "Joe's", "It says JOE\u2019S bar", True),
        ("containment_match", "Text Recognition", "\u201cExit\u201d", 'the sign "exit"', True),
        ("containment_match", "Scrambled Recognition", "don\u2019t", "Don't", True),
        ("gpt_assisted_scoring", "x", "four", "4", None),
    ],
)
def test_mme_videoocr_answers(method: str, task: str, truth: str, answer: str, right: bool | None) -> None:
    assert is_correct(QuestionRule(method, task), truth, answer) is right


def test_a_judge_decides_what_rules_cannot() -> None:
    assert is_correct(QuestionRule("gpt_assisted_scoring", "x"), "four", "4", lambda truth, answer: True) is True
    with pytest.raises(ValueError, match="no way to score 'guess'"):
        is_correct(QuestionRule("guess", "x"), "a", "b")


def test_a_stored_question_keeps_its_rule() -> None:
    assert stored_rule(stored_record(7, "multiple_choice"), "TR/Text Recognition") == ("multiple_choice", "Text Recognition")
    assert stored_rule("", "") == ("containment_match", "")
