from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.benchmarks.samples import Sample, Target, Task
from tasks.markers.drawing import Candidate
from tasks.markers.vote import SampleAnswer, vote_sample, vote_target
from tasks.masks.instances import Box, box_iou


def target(boxes: list[Box], start: int = 10) -> Target:
    return Target(np.arange(start, start + len(boxes)), np.array(boxes))


def at(object_id: int, box: Box) -> Candidate:
    return Candidate(object_id, "person", 1, (0, 0), box)


LEFT, RIGHT, FAR = (0.0, 0.0, 10.0, 10.0), (5.0, 0.0, 15.0, 10.0), (90.0, 90.0, 99.0, 99.0)


def test_the_id_most_frames_vote_for_is_the_answer() -> None:
    drawn = {10: [at(1, LEFT), at(2, RIGHT)], 11: [at(2, LEFT)], 12: [at(2, LEFT), at(1, FAR)], 13: [at(1, LEFT)]}
    found = vote_target(target([LEFT] * 3), drawn)
    assert (found.object_id, found.votes, found.reason) == (2, 2, "")
    assert found.vote_share == 2 / 3
    assert found.mean_iou == pytest.approx((box_iou(LEFT, RIGHT) + 2) / 3)


def test_only_frames_of_the_true_span_vote() -> None:
    drawn = {9: [at(1, LEFT)], 10: [at(2, LEFT)], 11: [at(1, LEFT)]}
    assert vote_sample(Sample("s", "c", "", targets=(target([LEFT] * 3, 9),)), (10, 10), drawn).object_ids == (2,)


def test_ties_go_to_the_larger_overlap_then_to_the_smaller_id() -> None:
    assert vote_target(target([LEFT, LEFT]), {10: [at(1, RIGHT)], 11: [at(2, LEFT)]}).object_id == 2
    assert vote_target(target([LEFT, LEFT]), {10: [at(7, LEFT)], 11: [at(3, LEFT)]}).object_id == 3
    assert vote_target(target([LEFT]), {10: [at(4, LEFT), at(2, LEFT)]}).object_id == 2


def test_no_answer_has_a_reason() -> None:
    assert vote_target(target([LEFT]), {50: [at(1, LEFT)]}).reason == "span_not_rendered"
    nobody = vote_target(target([LEFT]), {10: [at(1, FAR)]})
    assert (nobody.object_id, nobody.reason) == (None, "target_not_drawn")
    assert vote_target(target([LEFT]), {10: []}).reason == "target_not_drawn"


coordinates = st.tuples(*[st.integers(0, 20)] * 4).map(lambda c: (c[0], c[1], c[0] + c[2] + 1.0, c[1] + c[3] + 1.0))


@given(st.lists(st.lists(coordinates, max_size=4), min_size=1, max_size=8), coordinates)
def test_the_answer_is_the_most_frequent_argmax(frames: list[list[Box]], truth: Box) -> None:
    drawn = {10 + n: [at(i + 1, box) for i, box in enumerate(boxes)] for n, boxes in enumerate(frames)}
    found = vote_target(target([truth] * len(frames)), drawn)
    winners = [max(row, key=lambda c: (box_iou(truth, c.box), -c.object_id)) for row in drawn.values() if row]
    votes = [c.object_id for c in winners if box_iou(truth, c.box) > 0]
    assert (found.object_id is None) == (not votes)
    if found.object_id is not None:
        assert votes.count(found.object_id) == max(votes.count(v) for v in votes) == found.votes
        assert 0 < found.vote_share <= 1
        assert 0 < found.mean_iou <= 1


def test_boxes_on_a_grid_are_interpolated_and_gaps_are_not() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10], [0, 0, 1, 1]])
    grid = Target(np.array([10, 14, 18, 40]), boxes)
    assert grid.box_at(14) == (4, 0, 14, 10)
    assert grid.box_at(15) == (5, 0, 15, 10)
    assert [grid.box_at(frame) for frame in (9, 30, 41)] == [None] * 3


def test_a_sample_with_several_targets_has_several_answers() -> None:
    left, right, away = (target([box, box]) for box in (LEFT, (40.0, 0.0, 50.0, 10.0), FAR))
    drawn = {10: [at(5, LEFT), at(2, (40.0, 0.0, 50.0, 10.0))], 11: [at(5, LEFT)], 20: [at(9, FAR)]}
    found = vote_sample(Sample("s", "c", "Both.", Task.SEGMENTATION, targets=(left, right)), (10, 11), drawn)
    assert found == SampleAnswer((2, 5), 0.75, 0.75, 3)
    partly = vote_sample(Sample("s", "c", "Two.", targets=(left, away)), (10, 11), drawn)
    assert (partly.object_ids, partly.reason, partly.mean_iou) == ((5,), "", 0.5)


def test_what_asks_for_no_object_has_no_answer_and_no_reason() -> None:
    assert vote_sample(Sample("s", "c", "When?", Task.TEMPORAL), None, {1: [at(1, LEFT)]}) == SampleAnswer()
    assert vote_sample(Sample("s", "c", "Who?"), (1, 2), {1: [at(1, LEFT)]}).reason == "no_true_boxes"
