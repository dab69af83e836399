"""How far a mean could lie from what was measured: percentile bootstrap over samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.metrics.report import Report

RESAMPLES = 1000
LEVEL = 0.95
_AT_ONCE = 2_000_000
"""Drawn indices held at a time."""


class Paired(NamedTuple):
    """A mean difference and its confidence interval."""

    difference: float
    interval: tuple[float, float]


def intervals(report: Report, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0) -> dict[str, list[float]]:
    """Confidence interval of every mean of a report, by the mean's name: [low, high].

    Samples are drawn with replacement, all means from the same draws; the same seed gives the same interval. Sentences about
    one video count as independent, so that intervals are a little too narrow where a video has many.
    """
    values = report.values()
    table = np.array(list(values.values()), np.float64)
    low, high = _sides(table, resamples, level, seed)
    return {name: [float(low[n]), float(high[n])] for n, name in enumerate(values)}


def paired(differences: Sequence[float], resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0) -> Paired:
    """Mean of what each sample gained, and its confidence interval: both results of a sample are drawn together."""
    table = np.array([differences], np.float64)
    low, high = _sides(table, resamples, level, seed)
    return Paired(float(table.mean()) if table.size else 0.0, (float(low[0]), float(high[0])))


def _sides(table: NDArray[np.float64], resamples: int, level: float, seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Lower and upper side of the mean of each row, whose columns are drawn with replacement."""
    count = table.shape[1]
    if count == 0:
        return np.zeros(len(table)), np.zeros(len(table))
    draws = np.random.default_rng(seed)
    chunk = max(1, _AT_ONCE // count)
    sizes = [min(chunk, resamples - at) for at in range(0, resamples, chunk)]
    means = np.concatenate([table[:, draws.integers(0, count, (size, count))].mean(axis=2) for size in sizes], axis=1)
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=1)
    return low, high
