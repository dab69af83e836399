"""Properties of the scores, and each convention beside a slow, obvious restatement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.masks.instances import Box, box_iou
from tasks.metrics.conventions import CONVENTIONS
from tasks.metrics.temporal import TEMPORAL, interval_iou
from tasks.metrics.tubes import Case, Tube

FRAMES, FPS = 40, 2.0
Boxes = dict[int, Box]


def tube_of(start: int, end: int, boxes: Boxes) -> Tube:
    frames = sorted(boxes)
    return Tube(start, end, np.array(frames, np.int64), np.array([boxes[f] for f in frames], np.float64).reshape(-1, 4))


def boxes_of(tube: Tube) -> Boxes:
    return {f: (b[0], b[1], b[2], b[3]) for f, b in zip(tube.frames.tolist(), tube.boxes.tolist(), strict=True)}


corner = st.integers(0, 30)
box = st.tuples(corner, corner, st.integers(1, 20), st.integers(1, 20)).map(
    lambda b: (float(b[0]), float(b[1]), float(b[0] + b[2]), float(b[1] + b[3]))
)
span = st.tuples(st.integers(0, FRAMES - 1), st.integers(0, FRAMES - 1)).map(lambda s: (min(s), max(s)))


@st.composite
def tubes(draw: st.DrawFn, sparse: bool = True) -> Tube:
    start, end = draw(span)
    kept = draw(st.sets(st.integers(start, end), min_size=0 if sparse else 1))
    frames = sorted(kept) if sparse else range(start, end + 1)
    return tube_of(start, end, {f: draw(box) for f in frames})


cases = st.builds(lambda truth, found: Case("x", FPS, FRAMES, truth, found), tubes(sparse=False), tubes())


def slow_paper(truth: Tube, found: Tube) -> tuple[float, float]:
    a, b = set(range(truth.start, truth.end + 1)), set(range(found.start, found.end + 1))
    true, seen = boxes_of(truth), boxes_of(found)
    total = sum(box_iou(true[f], seen[f]) for f in a & b if f in true and f in seen)
    return len(a & b) / len(a | b), total / len(a | b)


def slow_official(truth: Tube, found: Tube) -> tuple[float, float]:
    true, seen = boxes_of(truth), boxes_of(found)
    both = [f for f in true if f in seen]
    union = max(truth.end, found.end) - min(truth.start, found.start) + 1
    return len(both) / union, sum(box_iou(true[f], seen[f]) for f in both) / union


def slow_tubedetr(truth: Tube, found: Tube) -> tuple[float, float]:
    return slow_on_grid(truth, found, slow_grid(FRAMES / 20, FRAMES - 1))


def slow_tubedetr_vidstg(truth: Tube, found: Tube) -> tuple[float, float]:
    return slow_on_grid(truth, found, slow_grid(FPS, FRAMES))


def slow_grid(rate: float, stop: int) -> list[int]:
    grid = [0]
    for frame in range(1, stop):
        if int(frame * 5 / rate) > int(grid[-1] * 5 / rate):
            grid.append(frame)
    return grid


def slow_on_grid(truth: Tube, found: Tube, grid: list[int]) -> tuple[float, float]:
    true, seen = boxes_of(truth), boxes_of(found)
    spans = (truth.start, truth.end + 1), (found.start, found.end + 1)
    latest, earliest = (f(s[0] for s in spans) for f in (max, min))
    first_end, last_end = (f(s[1] for s in spans) for f in (min, max))
    total = 0.0
    for frame in grid:
        if latest <= frame < first_end and seen:
            near = min(seen, key=lambda f: (abs(f - frame), f))
            total += box_iou(true[frame], seen[near]) if frame in true else 0.0
    joined = sum(earliest <= frame < last_end for frame in grid)
    return max(0, first_end - latest) / (last_end - earliest), total / joined if joined else 0.0


def slow_stcat(truth: Tube, found: Tube) -> tuple[float, float]:
    true, seen = boxes_of(truth), boxes_of(found)
    latest, first_end = max(truth.start, found.start), min(truth.end, found.end + 1)
    union = max(truth.end, found.end + 1) - min(truth.start, found.start)
    total = sum(box_iou(true[f], seen[f]) for f in range(latest, first_end) if f in true and f in seen)
    return max(0, first_end - latest) / union, total / union


def slow_released(truth: Tube, found: Tube) -> tuple[float, float]:
    true, seen = boxes_of(truth), boxes_of(found)
    seconds = (truth.start / FPS, truth.end / FPS), (found.start / FPS, found.end / FPS)
    hull = max(s[1] for s in seconds) - min(s[0] for s in seconds)
    inter = max(0.0, min(s[1] for s in seconds) - max(s[0] for s in seconds))
    low, high = max(truth.start, found.start), min(truth.end, found.end)
    if low >= high:
        return inter / hull if hull else 0.0, 0.0
    total = sum(box_iou(true[f - 1], seen[f]) for f in range(low, high + 1) if f - 1 in true and f in seen)
    return inter / hull, total / (max(truth.end, found.end) - min(truth.start, found.start) + 1)


def slow_st_align(truth: Tube, found: Tube) -> tuple[float, float]:
    last = FRAMES - 1
    grid = {round(i / 99 * last) for i in range(100)}
    keys = [{f: b for f, b in boxes_of(t).items() if f in grid} for t in (truth, found)]
    either, both = set(keys[0]) | set(keys[1]), set(keys[0]) & set(keys[1])
    times = [(round(t.start / last, 3), round(t.end / last, 3)) for t in (truth, found)]
    hull = max(t[1] for t in times) - min(t[0] for t in times)
    inter = max(0.0, min(t[1] for t in times) - max(t[0] for t in times))
    total = sum(box_iou(keys[0][f], keys[1][f]) for f in both)
    return inter / hull if hull else 0.0, total / len(either) if either else 0.0


SLOW: dict[str, Callable[[Tube, Tube], tuple[float, float]]] = {
    "paper": slow_paper,
    "hcstvg_official": slow_official,
    "tubedetr": slow_tubedetr,
    "tubedetr_vidstg": slow_tubedetr_vidstg,
    "stcat_cgstvg_tastvg": slow_stcat,
    "stvg_r1_released": slow_released,
    "st_align": slow_st_align,
}


@pytest.mark.parametrize("name", CONVENTIONS)
@settings(max_examples=150)
@given(case=cases)
def test_a_convention_is_its_slow_restatement(name: str, case: Case) -> None:
    assert case.predicted is not None
    found = CONVENTIONS[name].score(case)
    assert found[:2] == pytest.approx(SLOW[name](case.truth, case.predicted), abs=1e-12)


@pytest.mark.parametrize("name", CONVENTIONS)
@settings(max_examples=100)
@given(case=cases)
def test_scores_are_bounded_and_blind_to_scale_and_place(name: str, case: Case) -> None:
    assert case.predicted is not None
    found = CONVENTIONS[name].score(case)
    assert all(0 <= score <= 1 + 1e-12 for score in found if score is not None)
    moved = [replace(tube, boxes=tube.boxes * 4 + 64) for tube in (case.truth, case.predicted)]
    again = CONVENTIONS[name].score(replace(case, truth=moved[0], predicted=moved[1]))
    assert [s for s in again if s is not None] == pytest.approx([s for s in found if s is not None])


@pytest.mark.parametrize("name", ["paper", "hcstvg_official"])
@given(truth=tubes(sparse=False), by=st.integers(0, 1000))
def test_the_truth_is_perfect_and_time_has_no_origin(name: str, truth: Tube, by: int) -> None:
    later = Tube(truth.start + by, truth.end + by, truth.frames + by, truth.boxes)
    found = CONVENTIONS[name].score(Case("x", FPS, FRAMES + by, later, later))
    assert found[:2] == pytest.approx((1, 1))


@given(a=tubes(sparse=False), b=tubes(sparse=False))
def test_the_papers_scores_are_symmetric(a: Tube, b: Tube) -> None:
    one, other = (CONVENTIONS["paper"].score(Case("x", FPS, FRAMES, *pair)) for pair in ((a, b), (b, a)))
    assert one[:2] == pytest.approx(other[:2])
    assert one.v_iou <= one.t_iou + 1e-12


times = st.tuples(st.floats(0, 100), st.floats(0, 100))


@given(times, times)
def test_temporal_scores_are_bounded_and_reversed_spans_earn_nothing(a: tuple[float, float], b: tuple[float, float]) -> None:
    for rule in TEMPORAL.values():
        assert 0 <= rule.score(a, b) <= 1
    assert interval_iou(a, b) == pytest.approx(interval_iou(b, a))
    if b[1] <= b[0]:
        assert interval_iou(a, b) == 0


def test_temporal_conventions_differ_where_they_say() -> None:
    apart = [rule.score((0, 1), (9, 10)) for rule in TEMPORAL.values()]
    assert apart == [0, 0, 0]
    turned = {name: rule.score((0, 10), (10, 5)) for name, rule in TEMPORAL.items()}
    assert turned == {"paper": 0, "time_r1": 0, "lmms_eval": 0.5}
    assert [rule.reaches(0.5, 0.5) for rule in TEMPORAL.values()] == [False, False, True]
