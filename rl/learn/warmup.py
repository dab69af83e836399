"""Supervised warm-up: answers are imitated, token by token; first on one pair of frames, then on whole clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rl.learn.forms import Form
from rl.learn.policy import Policy
from rl.learn.scenes import LANES, PAIRS, Scene, frames, scene
from rl.learn.words import END, follow_up, prompt

_IGNORED = -100
_RISE = 50
"""Steps over which the learning rate rises."""
_BLANK = 8
"""One clip of so many is blank, so that a model which is shown nothing has learned what is likely, not babble."""


@dataclass(frozen=True)
class Stage:
    """Part of a warm-up.

    Attributes:
        steps, clips: updates, and clips of each.
        figures, pairs: of a clip: its figures and frame pairs.
    """

    steps: int
    clips: int
    figures: int = LANES
    pairs: int = PAIRS


def warm_up(
    policy: Policy, form: Form, stages: Sequence[Stage], rate: float, seed: int, tell: Callable[[dict[str, float]], None]
) -> None:
    """Train on fresh clips, with a question about each figure of a clip in turn.

    Args:
        policy: to train.
        form: of the answers.
        stages: one after another; the learning rate falls linearly over all of them.
        rate: highest learning rate.
        seed: of the clips.
        tell: takes `step` and `loss` of every step.
    """
    import torch

    policy.model.train()
    optimizer = torch.optim.AdamW(policy.model.parameters(), lr=rate, weight_decay=0.0, betas=(0.9, 0.98))
    steps, step, number = sum(stage.steps for stage in stages), 0, 0
    for stage in stages:
        for _ in range(stage.steps):
            scenes = [scene(seed, number + n, stage.figures, stage.pairs) for n in range(stage.clips)]
            number += stage.clips
            now = rate * min(1.0, (step + 1) / _RISE, (steps - step) / steps * 2)
            loss = imitation_loss(policy, form, scenes)
            update(policy, optimizer, loss, now)
            step += 1
            tell({"step": step, "loss": float(loss.detach())})


def imitation_loss(policy: Policy, form: Form, scenes: Sequence[Scene]) -> Any:
    """Mean cross-entropy of the answers' tokens."""
    import torch

    ids, is_answer = _conversations(policy, form, scenes)
    clips = np.stack([frames(scene, form.marked, blank=n % _BLANK == _BLANK - 1) for n, scene in enumerate(scenes)])
    logits = policy.logits(policy.embedded(ids, clips), policy.positions(ids, scenes[0].pairs))
    labels = ids.masked_fill(~is_answer, _IGNORED)
    return torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=_IGNORED)


def _conversations(policy: Policy, form: Form, scenes: Sequence[Scene]) -> tuple[Any, Any]:
    """Tokens of every question and answer about each clip, and which of them are answers."""
    import torch

    pieces, answers = [], []
    for turn in range(len(scenes[0].figures)):
        prompts = [prompt(s.figures[0], s.pairs) if turn == 0 else follow_up(s.figures[turn]) for s in scenes]
        for texts in (prompts, [form.answer(s.figures[turn]) + END for s in scenes]):
            pieces.append(policy.ids(texts))
            answers.append(torch.full_like(pieces[-1], texts is not prompts, dtype=torch.bool))
    return torch.cat(pieces, dim=1), torch.cat(answers, dim=1)


def update(policy: Policy, optimizer: Any, loss: Any, rate: float) -> None:
    """One step of AdamW at a learning rate, gradients cut to norm 1."""
    import torch

    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(policy.model.parameters(), 1.0)
    optimizer.step()
