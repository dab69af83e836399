"""GRPO on the same model: equations 7 and 8, as the recipes of `rl.training` have them.

verl's trainer takes seconds for a step of any size on a CPU; these are the same numbers without its processes, and
`tests/rl/learn/test_grpo.py` holds them equal to verl's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np

from rl.learn.forms import Form
from rl.learn.policy import Policy
from rl.learn.scenes import PAIRS, Scene, frames, scene
from rl.learn.warmup import update
from rl.learn.words import END, NUMBER, prompt
from rl.rewards.parts import Parts

_EPSILON = 1e-6
"""verl's, beside the standard deviation."""


@dataclass(frozen=True)
class Settings:
    """Of a training by GRPO.

    Attributes:
        steps: updates.
        prompts, n: prompts of an update, and answers to each.
        rate: learning rate, which falls linearly to zero.
        kl: weight of the divergence from the model after the warm-up (beta of equation 8).
        clip: epsilon of equation 8.
        limit: tokens of an answer.
    """

    steps: int
    prompts: int = 8
    n: int = 8
    rate: float = 1.5e-4
    kl: float = 0.04
    clip: float = 0.2
    limit: int = 28


def grpo(policy: Policy, form: Form, settings: Settings, seed: int, tell: Callable[[dict[str, float]], None]) -> None:
    """Train a warmed-up model on fresh clips; its eyes stay as they are, as does the reference.

    Args:
        policy: to train.
        form: of the answers.
        settings: of the training.
        seed: of clips and answers.
        tell: takes what was measured at every step.
    """
    import torch

    reference = Policy(deepcopy(policy.model).requires_grad_(False), policy.words, policy.device)
    policy.model.model.visual.requires_grad_(False)
    optimizer = torch.optim.AdamW([p for p in policy.model.parameters() if p.requires_grad], lr=0.0, weight_decay=0.0)
    generator = torch.Generator(policy.device).manual_seed(seed)
    for step in range(settings.steps):
        scenes = [scene(seed, step * settings.prompts + n) for n in range(settings.prompts)]
        rate = settings.rate * (1 - step / settings.steps)
        tell({"step": step + 1, **grpo_step(policy, reference, optimizer, form, scenes, settings, rate, generator)})


def grpo_step(
    policy: Policy,
    reference: Policy,
    optimizer: Any,
    form: Form,
    scenes: Sequence[Scene],
    settings: Settings,
    rate: float,
    generator: Any,
) -> dict[str, float]:
    """Draw answers, reward them, update once: the means of loss, divergence, reward and its parts."""
    import torch

    ids = policy.ids([prompt(scene.target, scene.pairs) for scene in scenes])
    clips = np.stack([frames(scene, form.marked) for scene in scenes])
    with torch.no_grad():
        inputs = policy.embedded(ids, clips).repeat_interleave(settings.n, 0)
    at = policy.positions(ids, PAIRS).repeat_interleave(settings.n, 1)
    answers = policy.sample(inputs, at, settings.limit, generator)
    parts = [form.parts(text, scenes[k // settings.n]) for k, text in enumerate(policy.texts(answers))]
    rewards = torch.tensor([float(sum(part)) for part in parts], device=policy.device).view(-1, settings.n)
    with torch.no_grad():
        reference_log = log_chances(reference, inputs, at, answers)
    now = log_chances(policy, inputs, at, answers)
    divergence = k3(now, reference_log)
    mask = until_end(answers)
    loss = grpo_loss(now, now.detach(), divergence, advantages(rewards).flatten(), mask, settings)
    update(policy, optimizer, loss, rate)
    means = {name: float(np.mean([getattr(part, name) for part in parts])) for name in Parts._fields}
    kl = float((divergence.detach() * mask).sum() / mask.sum())
    return {"loss": float(loss.detach()), "kl": kl, "reward": float(rewards.mean()), **means}


def log_chances(policy: Policy, inputs: Any, at: Any, answers: Any) -> Any:
    """Log-probability of each token of the answers, (answers, length)."""
    import torch

    length = answers.shape[1]
    embedded = policy.model.model.get_input_embeddings()(answers[:, :-1])
    after = at[..., -1:] + torch.arange(1, length, device=policy.device)
    logits = policy.logits(torch.cat([inputs, embedded], dim=1), torch.cat([at, after], dim=2))[:, -length:]
    return logits.log_softmax(-1).gather(2, answers[..., None])[..., 0]


def until_end(answers: Any) -> Any:
    """Which tokens were said: those up to the first end token, and that one."""
    ends = (answers == NUMBER[END]).int()
    return ((ends.cumsum(1) - ends) == 0).float()


def advantages(rewards: Any) -> Any:
    """Equation 7: rewards (prompts, n) less their group's mean, over its standard deviation (n - 1)."""
    return (rewards - rewards.mean(1, keepdim=True)) / (rewards.std(1, keepdim=True) + _EPSILON)


def k3(now: Any, reference_log: Any) -> Any:
    """Estimate of the divergence from the reference, a token: never negative, and its mean is right."""
    return (reference_log - now).exp() - (reference_log - now) - 1


def grpo_loss(now: Any, before: Any, divergence: Any, advantage: Any, mask: Any, settings: Settings) -> Any:
    """Equation 8, negated: a mean over tokens, then over answers.

    Args:
        now: log-probabilities (answers, length) of the model.
        before: of the one that answered.
        divergence: from the reference, (answers, length).
        advantage: of each answer.
        mask: 1 where a token was generated, (answers, length).
        settings: clip and weight of the divergence.
    """
    ratio = (now - before).exp()
    kept = ratio.clamp(1 - settings.clip, 1 + settings.clip)
    gain = (ratio * advantage[:, None]).minimum(kept * advantage[:, None]) - settings.kl * divergence
    return -((gain * mask).sum(1) / mask.sum(1)).mean()
