from __future__ import annotations

import numpy as np
import pytest

from tasks.metrics.bootstrap import mean_intervals, paired_difference
from tasks.metrics.report import Tally


def report(values: list[float], lost: int = 0) -> Tally:
    made = Tally("paper", lambda value, threshold: value > threshold, lost=lost)
    for number, value in enumerate(values):
        made.add(str(number), {"vIoU": value})
    return made


def test_an_interval_holds_its_mean_and_is_that_of_the_normal_law_where_there_are_many() -> None:
    values = np.random.default_rng(0).random(2000)
    found = mean_intervals(report(values.tolist()).values())
    low, high = found["m_vIoU"]
    spread = 1.96 * values.std() / np.sqrt(len(values))
    assert low == pytest.approx(values.mean() - spread, abs=spread / 5)
    assert high == pytest.approx(values.mean() + spread, abs=spread / 5)
    assert set(found) == {"m_vIoU", "vIoU@0.3", "vIoU@0.5"}
    assert found == mean_intervals(report(values.tolist()).values()), "the same seed, the same interval"


def test_what_never_varies_has_no_width_and_lost_samples_count() -> None:
    assert mean_intervals(report([1.0] * 9).values())["m_vIoU"] == (1.0, 1.0)
    low, high = mean_intervals(report([1.0] * 9, lost=9).values())["m_vIoU"]
    assert low < 0.5 < high < 1
    assert mean_intervals(report([]).values())["m_vIoU"] == (0.0, 0.0)


def test_the_means_of_a_report_are_those_of_its_values() -> None:
    made = report([0.2, 0.4, 0.9], lost=1)
    found = made.report()
    assert {name: sum(values) / len(values) for name, values in made.values().items()} == pytest.approx(
        {name: found.metrics[name].mean for name in made.values()}
    )


def test_pairs_tell_a_small_gain_of_all_from_chance_where_two_intervals_overlap() -> None:
    before = np.random.default_rng(0).random(200)
    gained = paired_difference((np.full(200, 0.02)).tolist())
    assert gained.difference == pytest.approx(0.02)
    assert gained.interval == pytest.approx((0.02, 0.02))
    low, high = mean_intervals(report(before.tolist()).values())["m_vIoU"]
    assert high - low > 0.04, "the means alone would not tell"
    noise = paired_difference(np.random.default_rng(1).normal(0, 0.1, 200).tolist())
    assert noise.interval[0] < 0 < noise.interval[1]
    assert paired_difference([]) == (0.0, (0.0, 0.0))
