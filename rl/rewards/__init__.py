"""Rewards of responses: equations 4 to 6 of the paper, their variants, and the function that verl calls."""

from rl.rewards.parts import Appearance
from rl.rewards.score import REWARDS, Reward, RewardConfig, compute_score, find_reward
from rl.rewards.truth import RewardError, Truth

__all__ = [
    "REWARDS",
    "Appearance",
    "Reward",
    "RewardConfig",
    "RewardError",
    "Truth",
    "compute_score",
    "find_reward",
]
