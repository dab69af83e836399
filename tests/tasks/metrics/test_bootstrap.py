from __future__ import annotations

import numpy as np
import pytest

from tasks.metrics.bootstrap import mean_intervals, paired_difference
from tasks.metrics.report import Tally


def report(values: list[float], lost: int = 0) -> Tally:
    made = Tally("paper", lambda value, threshold: value > threshold, lost_videos={f"gone {n}": 1 for n in range(lost)})
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


def clustered(videos: int, sentences: int) -> tuple[list[float], list[str]]:
    """Scores of videos with several sentences each, which mostly share the video's luck."""
    draws = np.random.default_rng(2)
    luck = np.repeat(draws.random(videos), sentences)
    scores = 0.8 * luck + 0.2 * draws.random(videos * sentences)
    return scores.tolist(), [f"v{n // sentences}" for n in range(videos * sentences)]


def test_clustered_intervals_have_the_width_of_the_clustered_standard_error() -> None:
    """The estimate of lmms-eval: the root of the summed squares of each video's summed deviations, over the samples."""
    scores, videos = clustered(300, 6)
    deviations = np.array(scores) - np.mean(scores)
    sums = [deviations[n : n + 6].sum() for n in range(0, len(scores), 6)]
    error = np.sqrt(np.square(sums).sum()) / len(scores)
    low, high = mean_intervals({"m": scores}, videos)["m"]
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1)
    plain = mean_intervals({"m": scores})["m"]
    assert high - low > 2 * (plain[1] - plain[0]), "sentences about one video are not independent"
    paired = paired_difference(scores, videos)
    assert (paired.interval, paired.difference) == (pytest.approx((low, high)), pytest.approx(np.mean(scores)))


def test_videos_of_one_sentence_are_drawn_as_samples() -> None:
    scores, _ = clustered(50, 1)
    names = [f"v{n}" for n in range(50)]
    assert mean_intervals({"m": scores}, names)["m"] == pytest.approx(mean_intervals({"m": scores})["m"])


def test_a_report_is_clustered_by_video() -> None:
    scores, videos = clustered(40, 5)
    tally = report(scores, lost=3)
    of_sample = {str(n): video for n, video in enumerate(videos)}
    wide, narrow = (tally.report(True, clusters).metrics["m_vIoU"].interval for clusters in (of_sample, None))
    assert wide is not None
    assert narrow is not None
    assert wide[1] - wide[0] > 1.5 * (narrow[1] - narrow[0])
