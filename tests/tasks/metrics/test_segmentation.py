from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from storage.rle import encode_counts
from tasks.benchmarks.question_rules import stored_rule
from tasks.benchmarks.samples import Target, Task
from tasks.metrics.arrays import StoredSample, StoredVideo
from tasks.metrics.sample_spans import can_be_scored
from tasks.metrics.segmentation import annotated_frames, segmentation_scores
from tasks.video.timeline import Timeline

HALF = np.zeros((6, 8), np.bool_)
HALF[:, :4] = True
CODE = encode_counts(HALF)
NOWHERE = Target(np.empty(0, np.int64), np.empty((0, 4)))


def target(*frames: int) -> Target:
    return Target(np.array(frames, np.int64), np.tile([0.0, 0.0, 4.0, 6.0], (len(frames), 1)), (CODE,) * len(frames))


def sample(*targets: Target) -> StoredSample:
    return StoredSample(
        sample_id="s",
        clip_id="c",
        task=Task.SEGMENTATION,
        group="",
        span_s=None,
        span=None,
        targets=targets,
        answer_ids=(),
        answer="",
        question=stored_rule("", ""),
        clip_start_s=0.0,
        clip=None,
    )


def video(*samples: StoredSample, count: int = 20) -> StoredVideo:
    timeline = Timeline(np.arange(count) / 5, count / 5)
    nothing = np.empty(0, np.int64)
    return StoredVideo("v", (8, 6), timeline, nothing, nothing, np.empty((0, 4)), {}, samples)


class Masks:
    """A dataset whose object 1 has one mask on some frames."""

    def __init__(self, *frames: int) -> None:
        self._rows = [{"frame_index": frame, "object_id": 1, "rle_counts": CODE} for frame in frames]

    def rows(self, *_: Any) -> pa.Table:
        return pa.Table.from_pylist(self._rows)


def scores(masks: Masks, read: StoredVideo, object_ids: list[int]) -> tuple[float, float]:
    dataset: Any = masks
    return segmentation_scores(dataset, read, read.samples[0].targets, object_ids)


def test_an_expression_without_a_target_is_answered_by_no_object() -> None:
    read = video(sample(NOWHERE), count=4)
    assert can_be_scored(read.samples[0])
    assert scores(Masks(0, 1, 2, 3), read, []) == (1, 1)
    assert scores(Masks(0, 1, 2, 3), read, [1]) == (0, 0)
    assert scores(Masks(0, 1), read, [1]) == (0.5, 0.5)
    assert not can_be_scored(sample()), "a split without public truth"


@pytest.mark.parametrize(
    ("frames", "annotated"),
    [
        ((0, 5, 15), range(0, 20, 5)),
        ((2, 7), range(2, 20, 5)),
        ((0, 1, 5), range(20)),
        ((7,), range(20)),
        ((), range(20)),
    ],
)
def test_frames_between_those_of_a_grid_are_not_annotated(frames: tuple[int, ...], annotated: range) -> None:
    assert annotated_frames(video(sample(target(*frames)), sample(NOWHERE))) == annotated


def test_only_annotated_frames_are_scored() -> None:
    read = video(sample(target(0, 5, 10, 15)))
    assert scores(Masks(*range(20)), read, [1]) == (1, 1)
    assert scores(Masks(0, 10), read, [1]) == (0.5, 0.5)
