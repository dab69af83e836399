"""Rewards by name, and `compute_score`, by which verl calls them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import get_args

from pydantic import Field, JsonValue

from rl.prompts.answers import parse_answer
from rl.rewards.parts import Appearance, Parts, mean_iou, r_f, r_s, r_t
from rl.rewards.released import released_parts
from rl.rewards.truth import RewardError, Truth, read_truth
from storage.common.config import Config
from storage.common.names import one_of


@dataclass(frozen=True)
class Reward:
    """A reward function.

    Attributes:
        name: by which a training names it.
        description: one sentence.
        parts: computes r_t, r_s and r_f of a response.
        total: combines the parts into one number.
    """

    name: str
    description: str
    parts: Callable[[str, Truth, Appearance], Parts]
    total: Callable[[Parts], float]


def _paper(text: str, truth: Truth, appearance: Appearance) -> Parts:
    answer = parse_answer(text, truth.style)
    return Parts(r_t(answer, truth), r_s(answer, truth, appearance), r_f(answer))


def _continuous(text: str, truth: Truth, _appearance: Appearance) -> Parts:
    answer = parse_answer(text, truth.style)
    return Parts(r_t(answer, truth), mean_iou(answer, truth), r_f(answer))


def _released(text: str, truth: Truth, _appearance: Appearance) -> Parts:
    return released_parts(text, truth)


def _coupled_total(parts: Parts) -> float:
    return parts.r_t + parts.r_s * parts.r_t + parts.r_f


REWARDS: Mapping[str, Reward] = {
    reward.name: reward
    for reward in (
        Reward("paper", "Equation 6: r_t + r_s + r_f.", _paper, sum),
        Reward("no-format", "Without the format: r_t + r_s (appendix A.9).", _paper, lambda p: p.r_t + p.r_s),
        Reward("coupled", "In the manner of vIoU: r_t + r_s r_t + r_f.", _paper, _coupled_total),
        Reward("continuous", "r_s is the mean IoU of boxes on frames of both spans.", _continuous, sum),
        Reward("temporal", "Without markers: r_t + r_f (table 7, +GRPO).", _paper, lambda p: p.r_t + p.r_f),
        Reward("released", "The released code's patterns and IoU.", _released, sum),
    )
}


class RewardConfig(Config):
    """Reward of a response."""

    name: str = Field(
        default="paper",
        title="Reward",
        description=f"Reward function: one of {', '.join(REWARDS)}; docs/training.md defines each.",
    )
    appearance: Appearance = Field(
        default="visible",
        title="Appearance",
        description="An object is present in a span while it is visible (the mask database has it on a native frame) or while "
        "its marker is drawn on a frame of the prompt.",
    )


def find_reward(name: str, appearance: str) -> Reward:
    """Look up a reward, and check the appearance that it is computed with.

    Args:
        name: a key of `REWARDS`.
        appearance: `visible` or `drawn`.

    Raises:
        RewardError: there is no reward of this name, or the appearance is another word.
    """
    if appearance not in (choices := get_args(Appearance)):
        raise RewardError(f"an object cannot appear as '{appearance}': choose from {', '.join(choices)}")
    return one_of(REWARDS, name, "reward", RewardError)


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, JsonValue] | None = None,
    *,
    reward: str = "paper",
    appearance: Appearance = "visible",
) -> dict[str, float]:
    """Score a response for verl.

    Args:
        data_source: name of the dataset; does not affect the score.
        solution_str: the response, decoded without special tokens.
        ground_truth: a `Truth` as JSON.
        extra_info: further columns of the row; does not affect the score.
        reward: name of the reward, from verl's `reward_kwargs` like the next one.
        appearance: which intervals of the object count as present.

    Returns:
        `score`, and the parts `r_t`, `r_s` and `r_f`, each of which verl logs.

    Raises:
        RewardError: there is no such reward, or the truth cannot be read. No response raises.
    """
    function = find_reward(reward, appearance)
    parts = function.parts(solution_str, read_truth(ground_truth), appearance)
    return {"score": float(function.total(parts)), **parts._asdict()}
