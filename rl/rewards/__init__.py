"""What a response is worth: equations 4 to 6 of the paper and its variants, and the door through which verl asks."""

from rl.rewards.parts import Appears
from rl.rewards.score import APPEARS, REWARDS, Reward, compute_score, reward_named
from rl.rewards.truth import RewardError, Truth

__all__ = ["APPEARS", "REWARDS", "Appears", "Reward", "RewardError", "Truth", "compute_score", "reward_named"]
