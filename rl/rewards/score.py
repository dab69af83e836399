"""Rewards by name, and verl's `compute_score` over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from rl.prompts.answers import parse_answer
from rl.rewards.parts import Appears, Parts, mean_iou, r_f, r_s, r_t
from rl.rewards.released import released_parts
from rl.rewards.truth import RewardError, Truth, read_truth
from storage.common.names import one_of

APPEARS: tuple[Appears, ...] = get_args(Appears)


@dataclass(frozen=True)
class Reward:
    """A way to reward.

    Attributes:
        name: of the reward.
        about: one sentence.
        parts: r_t, r_s and r_f of a response.
        total: what they come to.
    """

    name: str
    about: str
    parts: Callable[[str, Truth, Appears], Parts]
    total: Callable[[Parts], float]


def _paper(text: str, truth: Truth, appears: Appears) -> Parts:
    answer = parse_answer(text, truth.style)
    return Parts(r_t(answer, truth), r_s(answer, truth, appears), r_f(answer))


def _continuous(text: str, truth: Truth, appears: Appears) -> Parts:
    answer = parse_answer(text, truth.style)
    return Parts(r_t(answer, truth), mean_iou(answer, truth), r_f(answer))


def _released(text: str, truth: Truth, appears: Appears) -> Parts:
    return released_parts(text, truth)


REWARDS: Mapping[str, Reward] = {
    reward.name: reward
    for reward in (
        Reward("paper", "Equation 6: r_t + r_s + r_f.", _paper, sum),
        Reward("no-format", "Without the format: r_t + r_s (appendix A.9).", _paper, lambda p: p.r_t + p.r_s),
        Reward("coupled", "In the manner of vIoU: r_t + r_s r_t + r_f.", _paper, lambda p: p.r_t + p.r_s * p.r_t + p.r_f),
        Reward("continuous", "r_s is the mean IoU of boxes on frames of both spans.", _continuous, sum),
        Reward("temporal", "Without markers: r_t + r_f (table 7, +GRPO).", _paper, lambda p: p.r_t + p.r_f),
        Reward("released", "The released code's patterns and IoU.", _released, sum),
    )
}


def reward_named(name: str) -> Reward:
    """A reward by its name.

    Raises:
        RewardError: there is none of this name.
    """
    return one_of(REWARDS, name, "reward", RewardError)


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any] | None = None,
    *,
    reward: str = "paper",
    appears: Appears = "visible",
) -> dict[str, float]:
    """Score a response for verl: `score`, and beside it `r_t`, `r_s` and `r_f`, which verl logs each.

    Args:
        data_source: name of the dataset; says nothing of the score.
        solution_str: the response, decoded without special tokens.
        ground_truth: a `Truth` as JSON.
        extra_info: of the row; says nothing of the score.
        reward: name of the reward, of verl's `reward_kwargs` like the next.
        appears: what counts as an object's appearance in the span.

    Raises:
        RewardError: there is no such reward, or the truth cannot be read. No response raises.
    """
    if appears not in APPEARS:
        raise RewardError(f"an object cannot appear as '{appears}': choose from {', '.join(APPEARS)}")
    chosen = reward_named(reward)
    parts = chosen.parts(solution_str, read_truth(ground_truth), appears)
    return {"score": float(chosen.total(parts)), **parts._asdict()}
