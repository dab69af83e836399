"""J and F of referring expressions: the union of predicted objects against the union of true objects on every frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

import numpy as np

from storage.reader import Dataset
from storage.rle import Mask, decode_counts
from tasks.benchmarks.samples import Target
from tasks.metrics.arrays import StoredVideo
from tasks.metrics.regions import j_and_f


def segmentation_scores(
    dataset: Dataset, video: StoredVideo, targets: Sequence[Target], object_ids: Sequence[int]
) -> tuple[float, float]:
    """Mean J and mean F over the annotated frames of a video, as in MeViS; two empty masks are equal.

    Args:
        dataset: a published dataset.
        video: video with its instances.
        targets: true objects, with one mask per frame.
        object_ids: predicted IDs, from 1.
    """
    rows = dataset.rows("masks", video.video_id, ["frame_index", "object_id", "rle_counts"]).to_pylist()
    predicted: dict[int, list[bytes]] = {}
    for row in rows:
        if row["object_id"] in object_ids:
            predicted.setdefault(row["frame_index"], []).append(row["rle_counts"])
    meant: dict[int, list[bytes]] = {}
    for target in targets:
        for frame, code in zip(target.frames.tolist(), target.counts, strict=True):
            meant.setdefault(frame, []).append(code)
    scores = [
        j_and_f(*(_union(codes.get(frame, ()), video.size) for codes in (meant, predicted)))
        for frame in annotated_frames(video)
    ]
    return fmean(j for j, _ in scores), fmean(f for _, f in scores)


def annotated_frames(video: StoredVideo) -> range:
    """Frames of a video whose masks are known: all of them, or those of a grid where only every n-th one was annotated.

    The grid is that of the frames on which any sample of the video has a mask.
    """
    frames = sorted({int(f) for s in video.samples for target in s.targets if target.counts for f in target.frames})
    step = math.gcd(*(frame - frames[0] for frame in frames)) if len(frames) > 1 else 1
    return range(frames[0] % step if step > 1 else 0, len(video.timeline.times_s), step)


def _union(codes: Sequence[bytes], size: tuple[int, int]) -> Mask:
    width, height = size
    union = np.zeros((height, width), np.bool_)
    for code in codes:
        union |= decode_counts(code, height, width)
    return union
