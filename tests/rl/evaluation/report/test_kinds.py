from __future__ import annotations

from typing import Any

import pytest

from rl.evaluation.predictions import StoredPrediction
from rl.evaluation.report.kinds import KINDS, TrueSample, choose_samples, kinds_of
from tasks.benchmarks.samples import Task

READ: dict[str, Any] = {
    "task": Task.SPATIO_TEMPORAL,
    "failure": "",
    "ids_status": "read",
    "span_status": "read",
    "object_ids": (3,),
    "boxes": {},
    "span_s": (1.0, 2.0),
}
TRUTH: dict[str, Any] = {"reason": "", "answer_ids": (3,), "span_s": (1.0, 2.1)}
GOOD = {"tIoU": 0.9, "vIoU": 0.8}


def prediction(**fields: Any) -> StoredPrediction:
    """A prediction as `READ`, with other fields."""
    texts: dict[str, Any] = dict.fromkeys(("sample_id", "video_id", "thought", "identity"), "")
    rest = {"answer": None, "captions": {}, "formatted": True, "texts": (), "finishes": ()}
    return StoredPrediction(**texts, **rest, **dict.fromkeys(("prompt_tokens", "tokens", "seconds"), 0), **{**READ, **fields})


def true_sample(**fields: Any) -> TrueSample:
    """A sample as `TRUTH`, with other fields."""
    texts: dict[str, Any] = dict.fromkeys(("sample_id", "clip_id", "group", "sentence", "answer"), "")
    return TrueSample(**texts, options=(), **{**TRUTH, **fields})


@pytest.mark.parametrize(
    ("row", "truth", "scores", "kinds"),
    [
        ({}, {}, {}, ["right"]),
        ({"object_ids": (1, 3)}, {}, {}, ["wrong ID"]),
        ({"object_ids": (3, 1)}, {}, {}, ["right"]),
        ({"object_ids": (3, 1), "task": Task.SEGMENTATION}, {}, {}, ["wrong ID"]),
        ({"object_ids": (), "ids_status": "none"}, {}, {}, ["wrong ID"]),
        ({"object_ids": (), "ids_status": "none", "task": Task.SEGMENTATION}, {"answer_ids": ()}, {}, ["right"]),
        ({"span_s": (1.8, 3.0)}, {}, {"tIoU": 0.1, "vIoU": 0.08}, ["wrong time"]),
        ({"span_s": (2.0, 1.0)}, {}, {"tIoU": 0.0, "vIoU": 0.0}, ["wrong time"]),
        ({"span_s": None, "span_status": "none"}, {}, {"tIoU": 0.0, "vIoU": 0.0}, ["wrong time"]),
        ({"object_ids": (), "ids_status": ""}, {}, {"tIoU": 0.0, "vIoU": 0.0}, ["right"]),
        ({}, {"span_s": None}, {}, ["right"]),
        ({}, {}, {"vIoU": 0.4}, ["wrong box"]),
        ({"ids_status": "", "object_ids": (), "boxes": {0: (0, 0, 1, 1)}}, {}, {"vIoU": 0.1}, ["wrong box"]),
        ({"span_status": "unreadable"}, {}, {"tIoU": 0.0}, ["unparsable"]),
        ({"ids_status": "missing", "object_ids": (), "span_s": (1.0, 1.1)}, {}, {}, ["unparsable", "wrong time"]),
        ({}, {"reason": "target_not_drawn", "answer_ids": ()}, {}, ["target never detected"]),
        ({"failure": "no_objects: it"}, {"reason": "target_not_drawn", "answer_ids": ()}, {}, ["no reply"]),
        ({"ids_status": "", "span_status": "", "object_ids": ()}, {}, {"accuracy": 0.0}, ["wrong answer"]),
    ],
)
def test_what_is_wrong_is_told_by_kind(
    row: dict[str, Any], truth: dict[str, Any], scores: dict[str, float], kinds: list[str]
) -> None:
    assert kinds_of(prediction(**row), true_sample(**truth), {**GOOD, **scores}) == kinds
    assert set(kinds) <= set(KINDS)


def test_what_fell_says_so_first_and_what_has_no_scores_is_not_called_right() -> None:
    assert kinds_of(prediction(object_ids=(1,)), true_sample(), GOOD, fell=True) == ["fell", "wrong ID"]
    assert kinds_of(prediction(), true_sample(), {}) == ["not scored"]


def test_every_kind_is_shown_and_what_rare_ones_leave_goes_to_others() -> None:
    kinds = {f"r{n:03}": ["right"] for n in range(200)} | {"x1": ["wrong ID"], "y1": ["wrong time"], "y2": ["wrong time"]}
    some = choose_samples(kinds, 10)
    assert len(some) == 10
    assert some[-3:] == ["x1", "y1", "y2"]
    assert (some[0], some[6]) == ("r000", "r199"), "evenly spread"
    assert choose_samples(kinds, 1000) == list(kinds)
    assert choose_samples(kinds, 0) == []
