"""Rewards: the equations against plain restatements, the variants, and verl's door."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl.rewards import REWARDS, RewardError, Truth, compute_score
from tasks.video.timeline import Timeline

KEYS = {"score", "r_t", "r_s", "r_f"}
FPS = 10
TRUTH = Truth(
    span_s=(2.0, 6.0),
    object_id=3,
    visible=((2.0, 4.0), (7.0, 8.0)),
    drawn=((2.0, 2.1), (2.5, 2.6)),
    edges_s=(2.0, 3.0, 4.0, 5.0, 6.0),
    ious={3: (1.0, 0.8, 0.0, 0.6), 4: (0.1, 0.1, 0.1, 0.1)},
)

centiseconds = st.integers(0, 1200).map(lambda n: n / 100)


def said(object_id: object, start: float, end: float) -> str:
    return f"<think>They move.</think><answer>Target ID: {object_id}, Time range: {start:.2f} to {end:.2f}</answer>"


def scored(text: str, reward: str = "paper", truth: Truth = TRUTH, **options: str) -> dict[str, float]:
    return compute_score("squares", text, truth.to_json(), None, reward=reward, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("reward", REWARDS)
@given(text=st.text() | st.text(alphabet="<>/thinkaswer TgID:0123456789.-,[]\n"))
def test_any_text_is_scored_by_any_reward_with_the_same_keys(reward: str, text: str) -> None:
    told = scored(text, reward)
    assert set(told) == KEYS
    assert all(0 <= told[part] <= 1 for part in KEYS - {"score"})
    assert 0 <= told["score"] <= 3


@given(start=centiseconds, end=centiseconds)
def test_r_t_is_the_iou_of_both_spans(start: float, end: float) -> None:
    shared = max(0.0, min(end, 6.0) - max(start, 2.0))
    either = (end - start) + 4.0 - shared
    expected = shared / either if end > start else 0.0
    assert scored(said(3, start, end))["r_t"] == pytest.approx(expected)


@given(seen=st.sets(st.integers(0, 39)), start=centiseconds, end=centiseconds)
def test_r_s_asks_for_one_native_frame_of_the_closed_span(seen: set[int], start: float, end: float) -> None:
    visible = tuple((frame / FPS, (frame + 1) / FPS) for frame in sorted(seen))
    truth = Truth((2.0, 6.0), 3, visible=visible)
    on_screen = any(frame / FPS <= end and start < (frame + 1) / FPS for frame in seen)
    assert scored(said(3, start, end), truth=truth)["r_s"] == float(start <= end and on_screen)
    assert scored(said(4, start, end), truth=truth)["r_s"] == 0


@given(first=st.integers(0, 39), length=st.integers(1, 60), start=centiseconds, end=centiseconds)
def test_the_continuous_r_s_is_a_mean_over_the_frames_of_both_spans(first: int, length: int, start: float, end: float) -> None:
    timeline = Timeline(np.arange(100) / FPS, 100 / FPS)
    ious = tuple(round(frame % 7 / 7, 4) for frame in range(first, first + length))
    edges = tuple(frame / FPS for frame in range(first, first + length + 1))
    truth = Truth((first / FPS, (first + length) / FPS), 3, edges_s=edges, ious={3: ious})
    named = set(timeline.frames_in(start, end)) if start < min(end, timeline.duration_s) else set()
    both = [ious[frame - first] for frame in range(first, first + length) if frame in named]
    expected = sum(both) / len(both) if both else 0.0
    assert scored(said(3, start, end), "continuous", truth)["r_s"] == pytest.approx(expected)


def test_the_variants_by_hand() -> None:
    """The span 3 to 5 shares 2 of 4 seconds with the truth; the object is on screen until 4."""
    text = said(3, 3, 5)
    totals = {reward: scored(text, reward)["score"] for reward in REWARDS}
    assert totals == {
        "paper": 0.5 + 1 + 1,
        "no-format": 0.5 + 1,
        "coupled": 0.5 + 0.5 + 1,
        "continuous": 0.5 + (0.8 + 0.0) / 2 + 1,
        "temporal": 0.5 + 1,
        "released": 0.5 + 1 + 1,
    }


def test_an_object_must_appear_in_the_span_that_was_named() -> None:
    assert scored(said(3, 4.5, 6))["r_s"] == 0, "out of sight"
    assert scored(said(3, 4.5, 7))["r_s"] == 1, "back on the frame at 7, which a closed span holds"
    assert scored(said(3, 2.7, 4))["r_s"] == 1
    assert scored(said(3, 2.7, 4), appearance="drawn")["r_s"] == 0, "no frame that is shown then carries its marker"
    assert scored(said(3, 2.55, 4), appearance="drawn")["r_s"] == 1


def test_each_field_counts_on_its_own() -> None:
    assert scored("<answer>Time range: 2 to 6</answer>") == {"score": 1.0, "r_t": 1.0, "r_s": 0.0, "r_f": 0.0}
    assert scored("<answer>Target ID: 3</answer>")["score"] == 0, "without a span nothing appears in it"
    assert scored(said("3, 4", 2, 6))["r_s"] == 0, "two IDs are not one"
    assert scored(said(3, 6, 2)) == {"score": 1.0, "r_t": 0.0, "r_s": 0.0, "r_f": 1.0}
    assert scored(said(3, 3, 3))["r_s"] == 1, "a closed span without length is an instant"


def test_without_an_object_to_be_found_no_id_is_right() -> None:
    truth = Truth((2.0, 6.0))
    assert scored(said(1, 2, 6), truth=truth)["r_s"] == 0
    assert scored("<think>a</think><answer>Time range: 2 to 6</answer>", "temporal", truth)["score"] == 2


def test_labels_are_read_in_their_style() -> None:
    truth = Truth((2.0, 6.0), 2, "upper", visible=((2.0, 4.0),))
    assert scored(said("B", 2, 6), truth=truth)["r_s"] == 1
    assert scored(said("2", 2, 6), truth=truth)["r_s"] == 0


@pytest.mark.parametrize("text", ["Time range: [12.5 to 17.8]", "Time range: 12.5s to 17.8s", "Time range: 12.5 - 17.8"])
def test_the_released_patterns_lose_everything_with_one_field(text: str) -> None:
    truth = Truth((12.5, 17.8), 3, visible=((12.0, 18.0),))
    whole = f"<think>a</think> <answer>Target ID: 3, {text}</answer>"
    assert scored(whole, "released", truth) == {"score": 1.0, "r_t": 0.0, "r_s": 0.0, "r_f": 1.0}
    assert scored(whole, "paper", truth) == {"score": 3.0, "r_t": 1.0, "r_s": 1.0, "r_f": 1.0}


def test_the_released_reward_where_it_differs_from_the_paper() -> None:
    bracketed = "<think>a</think><answer>Target ID: [3], Time range: 2 to 6</answer>"
    assert scored(bracketed, "released")["score"] == 1
    assert scored(said(3, 4.5, 6), "released")["r_s"] == 1, "it never asks whether the object appears"
    assert scored(said(3, 8, 9), "released")["r_t"] == 0
    assert scored(said(3, 6, 2), "released")["r_t"] == 0
    assert scored(said("9" * 5000, 2, 6), "released")["r_s"] == 0
    last = "<answer>Target ID: 4, Time range: 0 to 1</answer>" + said(3, 2, 6)
    assert scored(last, "released") == {"score": 2.0, "r_t": 1.0, "r_s": 1.0, "r_f": 0.0}


def test_bad_settings_and_truths_are_one_sentence() -> None:
    with pytest.raises(RewardError, match="there is no reward 'papers': choose from paper, no-format"):
        scored("", "papers")
    with pytest.raises(RewardError, match="cannot appear as 'painted'"):
        scored("", appearance="painted")
    for broken in ("", "{}", "[]", '{"span_s":[1,"two"]}', '{"span_s":[1.0,2.0],"style":"runes"}'):
        with pytest.raises(RewardError, match="ground truth cannot be read"):
            compute_score("squares", "", broken)
