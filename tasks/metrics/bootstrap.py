"""Percentile bootstrap over videos: confidence intervals of means and of paired differences.

Sentences about one video are no independent samples, so that the videos are drawn, each with all of its samples. Where every
video has one sample, and where there is a single video, this is the bootstrap over samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
LEVEL = 0.95
_DRAWS_IN_MEMORY = 2_000_000
"""Maximum number of drawn indices in memory."""

Interval = tuple[float, float]
"""Lower and upper bound of a confidence interval."""


class PairedDifference(NamedTuple):
    """A mean difference and its confidence interval."""

    difference: float
    interval: Interval


def mean_intervals(
    values: Mapping[str, Sequence[float]],
    clusters: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> dict[str, Interval]:
    """Confidence interval of each mean.

    Clusters are drawn with replacement, with the same draws for all means; the same seed gives the same interval.

    Args:
        values: name of a mean -> its values, one per sample, in the same order for every mean.
        clusters: video of each sample; None for samples that are independent.
        resamples: number of resamples.
        level: confidence level, in (0, 1).
        seed: seed of the draws.
    """
    table = np.array(list(values.values()), np.float64)
    low, high = _sides(table, clusters, resamples, level, seed)
    return {name: (float(low[n]), float(high[n])) for n, name in enumerate(values)}


def paired_difference(
    differences: Sequence[float],
    clusters: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> PairedDifference:
    """Mean of per-sample differences and its confidence interval, with both scores of a sample drawn together.

    Args:
        differences: second score minus first score, one per sample.
        clusters: video of each sample; None for samples that are independent.
        resamples: number of resamples.
        level: confidence level, in (0, 1).
        seed: seed of the draws.
    """
    table = np.array([differences], np.float64)
    low, high = _sides(table, clusters, resamples, level, seed)
    return PairedDifference(float(table.mean()) if table.size else 0.0, (float(low[0]), float(high[0])))


def _sides(
    table: NDArray[np.float64], clusters: Sequence[str] | None, resamples: int, level: float, seed: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Bounds of the mean of each row, with clusters of columns drawn with replacement."""
    if table.shape[1] == 0:
        return np.zeros(len(table)), np.zeros(len(table))
    sums, sizes = _cluster_sums(table, clusters)
    count = len(sizes)
    draws = np.random.default_rng(seed)
    chunk = max(1, _DRAWS_IN_MEMORY // count)
    means = []
    for at in range(0, resamples, chunk):
        drawn = draws.integers(0, count, (min(chunk, resamples - at), count))
        means.append(sums[:, drawn].sum(axis=2) / sizes[drawn].sum(axis=1))
    tail = (1 - level) / 2
    low, high = np.quantile(np.concatenate(means, axis=1), [tail, 1 - tail], axis=1)
    return low, high


def _cluster_sums(table: NDArray[np.float64], clusters: Sequence[str] | None) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Sum of each row over each cluster, and the number of columns of each cluster, in order of first appearance."""
    if clusters is None or len(set(clusters)) < 2:
        return table, np.ones(table.shape[1], np.int64)
    number_of = {name: number for number, name in enumerate(dict.fromkeys(clusters))}
    numbers = np.array([number_of[name] for name in clusters], np.int64)
    sums = np.stack([np.bincount(numbers, row, len(number_of)) for row in table]).astype(np.float64)
    return sums, np.bincount(numbers, minlength=len(number_of)).astype(np.int64)
