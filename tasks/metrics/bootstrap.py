"""Percentile bootstrap over samples: confidence intervals of means and of paired differences."""

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
    values: Mapping[str, Sequence[float]], resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0
) -> dict[str, Interval]:
    """Confidence interval of each mean.

    Samples are drawn with replacement, with the same draws for all means; the same seed gives the same interval. Sentences
    about one video count as independent, so intervals are slightly too narrow where videos have many.

    Args:
        values: name of a mean -> its values, one per sample, in the same order for every mean.
        resamples: number of resamples.
        level: confidence level, in (0, 1).
        seed: seed of the draws.
    """
    table = np.array(list(values.values()), np.float64)
    low, high = _sides(table, resamples, level, seed)
    return {name: (float(low[n]), float(high[n])) for n, name in enumerate(values)}


def paired_difference(
    differences: Sequence[float], resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0
) -> PairedDifference:
    """Mean of per-sample differences and its confidence interval, with both scores of a sample drawn together.

    Args:
        differences: second score minus first score, one per sample.
        resamples: number of resamples.
        level: confidence level, in (0, 1).
        seed: seed of the draws.
    """
    table = np.array([differences], np.float64)
    low, high = _sides(table, resamples, level, seed)
    return PairedDifference(float(table.mean()) if table.size else 0.0, (float(low[0]), float(high[0])))


def _sides(table: NDArray[np.float64], resamples: int, level: float, seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Bounds of the mean of each row, with columns drawn with replacement."""
    count = table.shape[1]
    if count == 0:
        return np.zeros(len(table)), np.zeros(len(table))
    draws = np.random.default_rng(seed)
    chunk = max(1, _DRAWS_IN_MEMORY // count)
    sizes = [min(chunk, resamples - at) for at in range(0, resamples, chunk)]
    means = np.concatenate([table[:, draws.integers(0, count, (size, count))].mean(axis=2) for size in sizes], axis=1)
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=1)
    return low, high
