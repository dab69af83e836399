"""Numbers printed by published evaluators on the same cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.metrics.cases import read_cases, score_cases

TOLERANCE = 1e-9


@pytest.mark.parametrize("convention", ["hcstvg_official", "tubedetr", "stcat_cgstvg_tastvg"])
def test_published_evaluators_print_the_same(shared: Path, convention: str) -> None:
    path = shared / "golden" / "stvg_metrics.json"
    expected: dict[str, Any] = json.loads(path.read_text())["expected"][convention]
    found = score_cases(read_cases(path), convention).as_dict()
    assert found["samples"] == 40
    for sample_id, scores in expected.pop("per_sample").items():
        for name, value in scores.items():
            assert found["per_sample"][sample_id][name] == pytest.approx(value, abs=TOLERANCE), (sample_id, name)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=TOLERANCE), name
