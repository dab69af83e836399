import numpy as np
import pytest

from rl.learn.grpo import Settings, advantages, grpo_loss, k3, until_end
from rl.learn.words import END, NUMBER

pytestmark = pytest.mark.heavy


def test_advantages_loss_and_gradient_are_verls() -> None:
    import torch
    from verl.trainer.ppo.core_algos import agg_loss, compute_grpo_outcome_advantage, compute_policy_loss_vanilla, kl_penalty
    from verl.workers.config import ActorConfig

    random = torch.Generator().manual_seed(0)
    said = (torch.arange(6)[None] < torch.tensor([6, 3, 4, 6, 1, 2, 5, 6])[:, None]).float()
    rewards = torch.rand(2, 4, generator=random)
    before, beside = (-torch.rand(8, 6, generator=random) for _ in range(2))
    now = (
        (before + 0.3 * torch.randn(8, 6, generator=random)).clamp(max=before + 1).requires_grad_()
    )  # verl cuts ratios above 3 again
    ours = grpo_loss(now, before, k3(now, beside), advantages(rewards).flatten(), said, Settings(1))
    (slope,) = torch.autograd.grad(ours, now)
    tokens = torch.zeros(8, 6)
    tokens[:, 0] = rewards.flatten()
    gains, _ = compute_grpo_outcome_advantage(tokens, said, np.repeat([0, 1], 4))
    config = ActorConfig(
        strategy="fsdp", rollout_n=4, ppo_micro_batch_size_per_gpu=1, clip_ratio=0.2, clip_ratio_low=0.2, clip_ratio_high=0.2
    )
    mode = "seq-mean-token-mean"
    loss, _ = compute_policy_loss_vanilla(before, now, gains, said, mode, config)
    theirs = loss + 0.04 * agg_loss(kl_penalty(now, beside, "low_var_kl"), said, mode)
    (their_slope,) = torch.autograd.grad(theirs, now)
    assert torch.allclose(advantages(rewards).flatten()[:, None] * said, gains, atol=1e-5)
    assert float(ours.detach()) == pytest.approx(float(theirs.detach()), abs=1e-5)
    assert torch.allclose(slope, their_slope, atol=1e-5)


def test_what_follows_the_first_end_was_not_said() -> None:
    import torch

    end = NUMBER[END]
    assert until_end(torch.tensor([[9, end, end], [9, 9, 9], [end, 9, end]])).tolist() == [[1, 1, 0], [1, 1, 1], [1, 0, 0]]


def test_a_group_of_equal_rewards_teaches_nothing() -> None:
    import torch

    assert not advantages(torch.ones(1, 8)).any()
