from __future__ import annotations

from typing import Any

import pytest

from rl.evaluation.report.kinds import KINDS, chosen, kinds_of

READ: dict[str, Any] = {
    "task": "spatio-temporal",
    "failed": "",
    "ids_status": "read",
    "span_status": "read",
    "object_ids": [3],
    "boxes": [],
    "start_s": 1.0,
    "end_s": 2.0,
}
TRUTH = {"reason": "", "answer_ids": [3], "start_s": 1.0, "end_s": 2.1}
GOOD = {"tIoU": 0.9, "vIoU": 0.8}


@pytest.mark.parametrize(
    ("row", "truth", "scores", "kinds"),
    [
        ({}, {}, {}, ["right"]),
        ({"object_ids": [1, 3]}, {}, {}, ["wrong ID"]),
        ({"object_ids": [3, 1]}, {}, {}, ["right"]),
        ({"object_ids": [3, 1], "task": "segmentation"}, {}, {}, ["wrong ID"]),
        ({"object_ids": [], "ids_status": "none"}, {}, {}, ["wrong ID"]),
        ({"object_ids": [], "ids_status": "none", "task": "segmentation"}, {"answer_ids": []}, {}, ["right"]),
        ({"start_s": 1.8, "end_s": 3.0}, {}, {"tIoU": 0.1, "vIoU": 0.08}, ["wrong time"]),
        ({"start_s": 2.0, "end_s": 1.0}, {}, {"tIoU": 0.0, "vIoU": 0.0}, ["wrong time"]),
        ({"start_s": None, "end_s": None, "span_status": "none"}, {}, {"tIoU": 0.0, "vIoU": 0.0}, ["wrong time"]),
        ({"object_ids": [], "ids_status": ""}, {}, {"tIoU": 0.0, "vIoU": 0.0}, ["right"]),
        ({}, {"start_s": None, "end_s": None}, {}, ["right"]),
        ({}, {}, {"vIoU": 0.4}, ["wrong box"]),
        ({"ids_status": "", "object_ids": [], "boxes": [{"frame": 0}]}, {}, {"vIoU": 0.1}, ["wrong box"]),
        ({"span_status": "unreadable"}, {}, {"tIoU": 0.0}, ["unparsable"]),
        ({"ids_status": "missing", "object_ids": [], "end_s": 1.1}, {}, {}, ["unparsable", "wrong time"]),
        ({}, {"reason": "target_not_drawn", "answer_ids": []}, {}, ["target never detected"]),
        ({"failed": "no_objects: it"}, {"reason": "target_not_drawn", "answer_ids": []}, {}, ["no reply"]),
        ({"ids_status": "", "span_status": "", "object_ids": []}, {}, {"accuracy": 0.0}, ["wrong answer"]),
    ],
)
def test_what_is_wrong_is_told_by_kind(
    row: dict[str, Any], truth: dict[str, Any], scores: dict[str, float], kinds: list[str]
) -> None:
    assert kinds_of({**READ, **row}, {**TRUTH, **truth}, {**GOOD, **scores}) == kinds
    assert set(kinds) <= set(KINDS)


def test_what_fell_says_so_first_and_what_has_no_scores_is_not_called_right() -> None:
    assert kinds_of({**READ, "object_ids": [1]}, TRUTH, GOOD, fell=True) == ["fell", "wrong ID"]
    assert kinds_of(READ, TRUTH, {}) == ["not scored"]


def test_every_kind_is_shown_and_what_rare_ones_leave_goes_to_others() -> None:
    kinds = {f"r{n:03}": ["right"] for n in range(200)} | {"x1": ["wrong ID"], "y1": ["wrong time"], "y2": ["wrong time"]}
    some = chosen(kinds, 10)
    assert len(some) == 10
    assert some[-3:] == ["x1", "y1", "y2"]
    assert (some[0], some[6]) == ("r000", "r199"), "evenly spread"
    assert chosen(kinds, 1000) == list(kinds)
    assert chosen(kinds, 0) == []
