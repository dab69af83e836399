"""Numbers printed by published evaluators on the same cases."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from storage.rle import decode_counts
from tasks.benchmarks.samples import Target
from tasks.masks.instances import Box, tight_box
from tasks.metrics.cases import read_cases, score_cases
from tasks.metrics.conventions import released_v_iou
from tasks.metrics.regions import j_and_f
from tasks.metrics.repair import repair_released
from tasks.metrics.tubes import Tube, overlap

TOLERANCE = 1e-9


@pytest.mark.parametrize("convention", ["hcstvg_official", "tubedetr", "stcat_cgstvg_tastvg"])
def test_published_evaluators_print_the_same(shared: Path, convention: str) -> None:
    path = shared / "golden" / "stvg_metrics.json"
    expected: dict[str, Any] = json.loads(path.read_text())["expected"][convention]
    found = score_cases(read_cases(path), convention)
    assert found.samples == 40
    for sample_id, scores in expected.pop("per_sample").items():
        for name, value in scores.items():
            assert found.per_sample[sample_id][name] == pytest.approx(value, abs=TOLERANCE), (sample_id, name)
    for name, value in expected.items():
        assert found.metrics[name].mean == pytest.approx(value, abs=TOLERANCE), name


PUBLISHED = {
    "HC official": "hcstvg_official",
    "CG-STVG": "stcat_cgstvg_tastvg",
    "LLaVA-ST": "st_align",
    "TubeDETR VidSTG": "tubedetr_vidstg",
}


@pytest.mark.parametrize("kind", ["vidstg", "all", "gaps", "sparse"])
def test_published_evaluators_agree_inside_longer_videos_and_with_missing_boxes(
    shared: Path, tmp_path: Path, kind: str
) -> None:
    golden = json.loads((shared / "golden" / "stvg_metrics_2.json").read_text())[kind]
    (tmp_path / "cases.json").write_text(json.dumps(golden["cases"]))
    cases = read_cases(tmp_path / "cases.json")
    for evaluator, metrics in golden["expected"].items():
        report = score_cases(cases, PUBLISHED[evaluator])
        for metric, values in metrics.items():
            scores = {sample_id: report.per_sample[sample_id][metric] for sample_id in values}
            assert scores == pytest.approx(values, abs=TOLERANCE), (evaluator, metric)


def mask(rle: Any) -> Any:
    height, width = rle["size"]
    return decode_counts(rle["counts"].encode(), height, width)


def test_regions_and_contours_equal_the_published_functions(shared: Path) -> None:
    for case in json.loads((shared / "golden" / "mask_cases.json").read_text())["jf"]:
        found = [j_and_f(mask(truth), mask(answer)) for truth, answer in zip(case["gt"], case["pred"], strict=True)]
        for number, name in enumerate("JF"):
            values = [pair[number] for pair in found]
            assert values == pytest.approx(case["expected"][f"{name}_per_frame"], abs=TOLERANCE)
            assert fmean(values) == pytest.approx(case["expected"][name], abs=TOLERANCE)


def inclusive_boxes(frame: dict[str, Any]) -> dict[int, Box]:
    boxes = ((int(i), tight_box(mask(rle))) for i, rle in frame.items())
    return {i: (b[0], b[1], b[2] - 1, b[3] - 1) for i, b in boxes if b is not None}


def test_the_released_evaluation_with_its_repair_is_reproduced(shared: Path) -> None:
    for video in json.loads((shared / "golden" / "mask_cases.json").read_text())["videos"]:
        truth, predicted, fps = video["gt"], video["pred"], video["fps"]
        true_s, found_s = (truth["st_time"], truth["ed_time"]), (predicted["st_time"], predicted["ed_time"])
        (a, b), (c, d) = ((int(t * fps) for t in span) for span in (true_s, found_s))
        boxes = {int(f): inclusive_boxes(frame) for f, frame in video["masks"].items()}
        true = Target.dense(truth["st_frame"], [(x, y, x + w, y + h) for x, y, w, h in truth["boxes_xywh"]])
        expected = video["expected"]["vIoU_released_evaluate"]
        found = 0.0
        if max(a, c) < min(b, d):
            repaired = repair_released(boxes, predicted["id"], (max(a, c), min(b, d)))
            shared_ious = overlap(Tube(a, b, true.frames, true.boxes), repaired.tube)
            found = released_v_iou(true_s, found_s, fps, shared_ious)
        assert found == pytest.approx(expected, abs=TOLERANCE), video["video_id"]
