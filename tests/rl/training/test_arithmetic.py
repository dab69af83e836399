"""What verl computes of a batch is equations 7 and 8 of the paper, and what TRL computes."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rl.training.recipe import GrpoRecipe
from rl.training.verl_config import compose_config, grpo_settings

pytestmark = pytest.mark.heavy

RECIPE = GrpoRecipe()
GROUPS, LENGTHS = 3, (2, 7, 5, 1, 7, 3, 6, 4)
CLOSE = 1e-5
EPSILON, TRL_EPSILON = 1e-6, 1e-4
"""What verl and TRL add to a standard deviation."""


@pytest.fixture(scope="module")
def batch() -> dict[str, Any]:
    """Log-probabilities of eight answers to each of three prompts; those to the last have equal rewards."""
    import torch

    draws = torch.Generator().manual_seed(0)
    shape = (GROUPS * RECIPE.grpo.responses_per_prompt, max(LENGTHS))
    old = -torch.rand(shape, generator=draws) * 3
    rewards = torch.rand(GROUPS * RECIPE.grpo.responses_per_prompt, generator=draws) * 3
    rewards[-RECIPE.grpo.responses_per_prompt :] = 1.5
    mask = torch.arange(shape[1])[None, :] < torch.tensor(LENGTHS * GROUPS)[:, None]
    return {
        "old": old,
        "new": old + torch.randn(shape, generator=draws) * 0.5,
        "reference": old + torch.randn(shape, generator=draws) * 0.2,
        "rewards": rewards,
        "mask": mask.float(),
    }


def configured(recipe: GrpoRecipe) -> Any:
    """verl's configuration of a recipe, as a training has it."""
    return compose_config("ppo_trainer", grpo_settings(recipe, 1), {})


def by_verl(batch: dict[str, Any], epsilon: float = EPSILON) -> tuple[Any, float]:
    """Advantages (answers,) and the loss, by what verl calls with its configuration."""
    import torch
    from verl.trainer.ppo.core_algos import agg_loss, get_adv_estimator_fn, get_policy_loss_fn, kl_penalty
    from verl.utils.config import omega_conf_to_dataclass

    config = configured(RECIPE)
    actor: Any = omega_conf_to_dataclass(config.actor_rollout_ref.actor)
    scores = torch.zeros_like(batch["mask"])
    scores[:, 0] = batch["rewards"]
    groups = np.repeat(np.arange(GROUPS), RECIPE.grpo.responses_per_prompt)
    estimator = get_adv_estimator_fn(config.algorithm.adv_estimator)
    by_std = config.algorithm.norm_adv_by_std_in_grpo
    advantages, _ = estimator(scores, batch["mask"], groups, epsilon, by_std)
    loss, _ = get_policy_loss_fn(actor.policy_loss.loss_mode)(
        batch["old"], batch["new"], advantages, batch["mask"], actor.loss_agg_mode, actor
    )
    divergence = kl_penalty(batch["new"], batch["reference"], actor.kl_loss_type)
    kl = agg_loss(loss_mat=divergence, loss_mask=batch["mask"], loss_agg_mode=actor.loss_agg_mode)
    return advantages[:, 0], float(loss + actor.kl_loss_coef * kl)


def plainly(batch: dict[str, Any], epsilon: float = EPSILON) -> tuple[list[float], float]:
    """Equations 7 and 8, answer for answer and token for token; a loss is minus the objective."""
    advantages, objective = [], 0.0
    rewards = [float(reward) for reward in batch["rewards"]]
    for start in range(0, len(rewards), RECIPE.grpo.responses_per_prompt):
        group = rewards[start : start + RECIPE.grpo.responses_per_prompt]
        mean = sum(group) / len(group)
        std = math.sqrt(sum((reward - mean) ** 2 for reward in group) / (len(group) - 1))
        advantages += [(reward - mean) / (std + epsilon) for reward in group]
    for row, advantage in enumerate(advantages):
        length, answer = int(batch["mask"][row].sum()), 0.0
        for token in range(length):
            old, new, reference = (float(batch[name][row, token]) for name in ("old", "new", "reference"))
            ratio = math.exp(new - old)
            clipped = min(max(ratio, 1 - RECIPE.grpo.clip), 1 + RECIPE.grpo.clip)
            k3 = math.exp(reference - new) - (reference - new) - 1
            answer += min(ratio * advantage, clipped * advantage) - RECIPE.grpo.kl_weight * k3
        objective += answer / length
    return advantages, -objective / len(advantages)


def test_advantages_and_loss_are_equations_7_and_8(batch: dict[str, Any]) -> None:
    advantages, loss = by_verl(batch)
    expected, expected_loss = plainly(batch)
    assert advantages.tolist() == pytest.approx(expected, abs=CLOSE)
    assert loss == pytest.approx(expected_loss, abs=CLOSE)
    assert advantages[-RECIPE.grpo.responses_per_prompt :].tolist() == [0.0] * RECIPE.grpo.responses_per_prompt, (
        "equal rewards teach nothing"
    )
    assert abs(expected_loss) > 0.01


def test_bad_answers_are_not_clipped_a_second_time(batch: dict[str, Any]) -> None:
    """verl's dual clip would hold back an answer that got likelier and is bad; equation 8 does not."""
    import torch

    likelier = {**batch, "new": batch["old"] + torch.full_like(batch["old"], 2.0)}
    assert by_verl(likelier)[1] == pytest.approx(plainly(likelier)[1], abs=1e-4)


def test_trl_computes_the_same(batch: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """TRL's own loss; its advantages with its own standard deviation, and its epsilon on both sides."""
    import torch

    if not (place := os.environ.get("STVG_TRL")):
        pytest.skip("TRL is not here: verl 0.9.1 breaks where trl is installed, so it lies in a folder of its own, STVG_TRL")
    monkeypatch.syspath_prepend(place)
    from trl import GRPOTrainer
    from trl.trainer.utils import nanstd

    grouped = batch["rewards"].view(-1, RECIPE.grpo.responses_per_prompt)
    spread = nanstd(grouped, dim=1).repeat_interleave(RECIPE.grpo.responses_per_prompt)
    theirs = (batch["rewards"] - grouped.mean(dim=1).repeat_interleave(RECIPE.grpo.responses_per_prompt)) / (
        spread + TRL_EPSILON
    )
    advantages, loss = by_verl(batch, TRL_EPSILON)
    assert advantages.tolist() == pytest.approx(theirs.tolist(), abs=CLOSE)

    trainer = trl_trainer(GRPOTrainer, batch["new"])
    empty = torch.zeros(len(batch["mask"]), 0)
    inputs = {"prompt_ids": empty, "prompt_mask": empty, "completion_ids": batch["mask"], "completion_mask": batch["mask"]}
    inputs |= {"advantages": theirs, "old_per_token_logps": batch["old"], "ref_per_token_logps": batch["reference"]}
    assert loss == pytest.approx(float(trainer._compute_loss(None, inputs)), abs=CLOSE)


def trl_trainer(kind: Any, likely: Any) -> Any:
    """TRL's trainer as far as its loss looks at it, with a model that says these log-probabilities."""
    import torch

    trainer = object.__new__(kind)
    trainer.args = SimpleNamespace(use_bias_correction_kl=False, delta=None, beta=RECIPE.grpo.kl_weight)
    trainer.model = SimpleNamespace(training=True)
    trainer._get_per_token_logps_and_entropies = lambda *_, **__: (likely, torch.zeros_like(likely), None)
    trainer.top_entropy_quantile, trainer.off_policy_mask_threshold = 1.0, None
    trainer.importance_sampling_level, trainer.loss_type, trainer.beta = "token", "grpo", RECIPE.grpo.kl_weight
    trainer.epsilon_low = trainer.epsilon_high = RECIPE.grpo.clip
    trainer.use_vllm = trainer._entropy_bonus_enabled = trainer.aux_loss_enabled = False
    trainer.current_gradient_accumulation_steps = 1
    trainer.accelerator = SimpleNamespace(gather=lambda x: x, reduce=lambda x, **_: x)
    trainer._metrics = defaultdict(lambda: defaultdict(list))
    return trainer
