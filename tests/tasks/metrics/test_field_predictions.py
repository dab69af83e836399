"""Predictions and cases as other tools write them: one bad prediction costs its sample, a lossy form is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.metrics.cases import ScoreError, read_cases, score_cases
from tasks.metrics.conventions import CONVENTIONS
from tasks.metrics.predictions import PredictionsError, read_predictions

TUBE: dict[str, Any] = {"start_frame": 2, "end_frame": 3, "boxes": {"2": [0, 0, 5, 5], "3": [0, 0, 5, 5]}}
CASE: dict[str, Any] = {"sample_id": "s1", "fps": 25.0, "frame_count": 10, "gt": TUBE, "pred": TUBE}


def written(folder: Path, *cases: dict[str, Any]) -> Path:
    path = folder / "cases.json"
    path.write_text(json.dumps({"cases": [*cases]}))
    return path


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"end_frame": 1}, "the span 2 to 1"),
        ({"end_frame": 99}, "within 0 to 9"),
        ({"start_frame": 2.5}, "lacks 'start_frame', a whole number"),
        ({"boxes": {"2": [5, 0, 0, 5]}}, "box of frame 2, has x2 < x1"),
        ({"boxes": {"2": [0, 0, 5]}}, "four finite numbers"),
        ({"boxes": {"2": [0, 0, 1e308, 1e308]}}, "four finite numbers"),
        ({"boxes": {"11": [0, 0, 5, 5]}}, "a box of frame '11'"),
        ({"boxes": None}, "lacks 'boxes'"),
        ({"start_s": "soon"}, "lacks 'start_s'"),
    ],
)
def test_an_impossible_prediction_costs_its_sample(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    report = score_cases(read_cases(written(tmp_path, CASE, {**CASE, "sample_id": "s2", "pred": {**TUBE, **fields}})))
    assert (report.samples, report.missing, list(report.invalid)) == (2, 0, ["s2"])
    assert message in report.invalid["s2"]
    assert (report.metrics["m_vIoU"].mean, report.per_sample["s2"]["vIoU"]) == (0.5, 0)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ({**CASE, "preds": TUBE}, "sample 's1' has an unknown field 'preds'"),
        ({**CASE, "pred": {**TUBE, "box": {}}}, "'pred' has an unknown field 'box'"),
        ({**CASE, "pred": {**TUBE, "boxes": {"2": [0, 0, 5, 5], "02": [0, 0, 5, 5]}}}, "'pred' has frame 2 twice"),
        ({**CASE, "gt": {**TUBE, "boxes": {"2": [0, 0, 5, 5], "02": [0, 0, 5, 5]}}}, "'gt' has frame 2 twice"),
        ({**CASE, "sample_id": True}, "case 0 has no 'sample_id'"),
        ({**CASE, "clip": [1]}, "'clip' must be"),
    ],
)
def test_a_form_that_loses_data_is_refused(tmp_path: Path, case: dict[str, Any], message: str) -> None:
    with pytest.raises(ScoreError, match=message):
        read_cases(written(tmp_path, case))


def test_numbers_as_pandas_writes_them(tmp_path: Path) -> None:
    case = {**CASE, "sample_id": 7.0, "frame_count": 10.0, "gt": {**TUBE, "start_frame": 2.0}, "clip": [0.0, 9]}
    [read] = read_cases(written(tmp_path, case))
    assert (read.sample_id, read.frame_count, read.truth.start, read.clip) == ("7", 10, 2, (0, 9))


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("seconds", [1e308, -1e308, 1.7e308])
def test_times_beyond_all_measure_score_nothing_and_raise_nothing(tmp_path: Path, convention: str, seconds: float) -> None:
    case = {**CASE, "pred": {**TUBE, "start_s": -abs(seconds), "end_s": seconds}}
    report = score_cases(read_cases(written(tmp_path, case)), convention)
    assert 0 <= report.metrics["m_tIoU"].mean <= 1
    assert 0 <= report.metrics["m_vIoU"].mean <= 1


def test_rows_of_predictions(tmp_path: Path) -> None:
    rows = [
        {"sample_id": 7, "object_id": 2.0, "start_s": 1, "end_s": 2},
        {"sample_id": "b", "object_id": "x"},
        {"sample_id": "c", "boxes": {"1": [0, 0, 5]}},
        {"sample_id": "d", "start_s": 1},
        {"sample_id": "e", "boxes": {"1": [5, 0, 0, 5]}},
    ]
    path = tmp_path / "answers.jsonl"
    path.write_text("\ufeff" + "\n".join(json.dumps(row) for row in rows), "utf-8")
    read = read_predictions(path)
    assert (read["7"].object_ids, read["7"].span_s) == ((2,), (1, 2))
    assert [bool(each.invalid) for each in read.values()] == [False, True, True, True, True]
    for name, message in {
        "frame": '{"sample_id": "a", "boxes": {"1": [0, 0, 5, 5], "01": [0, 0, 5, 5]}}',
        "a second time": '{"sample_id": 7}\n{"sample_id": "7"}',
        "sample_id": '{"sample_id": null}',
    }.items():
        path.write_text(message)
        with pytest.raises(PredictionsError, match=name):
            read_predictions(path)


def test_files_from_the_field(shared: Path) -> None:
    """score/ and pred/ of the field: read, costing one sample, or refused."""
    folder = shared / "cases" / "score"
    for name in ("01_perfect", "12_float_start", "30_bom"):
        assert score_cases(read_cases(folder / f"{name}.json")).metrics["m_vIoU"].mean == 1
    for name, message in {"08_same_frame_two_spellings": "has frame 100 twice", "33_unknown_field_typo": "'preds'"}.items():
        with pytest.raises(ScoreError, match=message):
            read_cases(folder / f"{name}.json")
    reversed_span = score_cases(read_cases(folder / "14_reversed_pred.json"))
    assert (reversed_span.metrics["m_vIoU"].mean, list(reversed_span.invalid)) == (0, ["a"])
    assert score_cases(read_cases(folder / "45_big_seconds.json"), "stvg_r1_released").metrics["m_tIoU"].mean == 0
    assert list(read_predictions(shared / "cases" / "pred" / "02_int_sample_id.jsonl")) == ["7"]
    for name in ("10_huge", "22_bom", "after_the_end"):
        assert not any(each.invalid for each in read_predictions(shared / "cases" / "pred" / f"{name}.jsonl").values())
