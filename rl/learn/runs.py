"""A run: one form of answer and one seed, from random weights through the warm-up to the end of GRPO."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from rl.learn.forms import FORMS
from rl.learn.grpo import Settings, grpo
from rl.learn.judge import answers, best_constant, marks
from rl.learn.policy import new_policy
from rl.learn.scenes import LANES, scene
from rl.learn.warmup import Stage, warm_up
from storage.folders.files import atomic_file

_WARM_UP, _GRPO, _EVALUATION = range(3)
"""Streams of clips, which share none."""


@dataclass(frozen=True)
class Budget:
    """What a run may spend; alike for both forms.

    Attributes:
        stages: of the warm-up.
        rate: its highest learning rate.
        grpo: the training after it.
        evaluation_clips: held-out clips on which it is marked.
    """

    stages: tuple[Stage, ...]
    rate: float
    grpo: Settings
    evaluation_clips: int


WHOLE = Budget((Stage(300, 64, pairs=1), Stage(450, 32)), 2e-3, Settings(200, prompts=16, rate=5e-4), 300)
QUICK = Budget((Stage(12, 8, 1, 1), Stage(2, 4)), 2e-3, Settings(2, prompts=2, n=4), 10)


def run(form_name: str, seed: int, budget: Budget, folder: Path) -> dict[str, Any]:
    """Train and mark; kept in `folder`, and not made again if it is there with the same budget."""
    import torch

    torch.set_num_threads(1)
    kept = folder / f"{form_name}-{seed}.json"
    spent = json.loads(json.dumps(asdict(budget)))
    if kept.is_file() and (record := json.loads(kept.read_text()))["budget"] == spent:
        return dict(record)
    form, policy, started = FORMS[form_name], new_policy(seed), monotonic()
    evaluation_clips = [scene(_stream(seed, _EVALUATION), number, LANES) for number in range(budget.evaluation_clips)]
    curves: dict[str, list[dict[str, float]]] = {"warm_up": [], "grpo": []}
    scores: dict[str, Any] = {"constant": best_constant(form, evaluation_clips)._asdict()}
    scores["ceiling"] = marks([form.answer(clip.target) for clip in evaluation_clips], form, evaluation_clips)._asdict()
    warm_up(policy, form, budget.stages, budget.rate, _stream(seed, _WARM_UP), curves["warm_up"].append)
    for when in ("before", "after"):
        drawn = torch.Generator(policy.device).manual_seed(seed)
        for how, blank, generator in (("seeing", False, None), ("drawn", False, drawn), ("blank", True, None)):
            texts = answers(policy, form, evaluation_clips, blank, generator)
            scores[f"{when}, {how}"] = marks(texts, form, evaluation_clips)._asdict()
        if when == "before":
            grpo(policy, form, budget.grpo, _stream(seed, _GRPO), curves["grpo"].append)
    record = {"form": form_name, "seed": seed, "seconds": round(monotonic() - started), "budget": spent, "marks": scores}
    record["curves"] = curves
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_file(kept) as temporary:
        temporary.write_text(json.dumps(record), encoding="utf-8")
    return record


def _stream(seed: int, which: int) -> int:
    return 3 * seed + which
