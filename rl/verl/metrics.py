"""Metrics of a training step: verl's numbers under the project's names, as one typed record."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rl.verl.errors import TrainingError

_FORMER = {"of": "total_steps", "lr": "learning_rate", "answer_tokens": "response_tokens"}
"""Field names in files that earlier versions wrote."""


class StepMetrics(BaseModel):
    """Metrics of one update of the weights; a value that the kind of training does not have is None.

    Attributes:
        step: number of the update, from 1.
        total_steps: updates of the whole training.
        seconds: duration of the step.
        tokens_per_s: tokens of prompts and responses that were trained on, a second.
        response_tokens: mean tokens of a response.
        loss: value of the loss function.
        grad_norm: norm of the gradient before clipping.
        learning_rate: of the next step.
        kl: divergence from the reference model, per token.
        entropy: of the next-token distribution, nats.
        pearson: correlation of the token probabilities that rollout and actor compute; below 0.999 weights, pixels or positions
            disagree.
        reward: mean reward of the responses.
        r_t: mean temporal part of the reward.
        r_s: mean spatial part of the reward.
        r_f: mean format part of the reward.
        timing: seconds of each phase of the step, by verl's names.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    step: int
    total_steps: int = 0
    seconds: float | None = None
    tokens_per_s: float | None = None
    response_tokens: float | None = None
    loss: float | None = None
    grad_norm: float | None = None
    learning_rate: float | None = None
    kl: float | None = None
    entropy: float | None = None
    pearson: float | None = None
    reward: float | None = None
    r_t: float | None = None
    r_s: float | None = None
    r_f: float | None = None
    timing: dict[str, float] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _upgrade(cls, values: object) -> object:
        """Rename the fields of a line that an earlier version wrote."""
        return {_FORMER.get(key, key): value for key, value in values.items()} if isinstance(values, Mapping) else values

    def line(self) -> str:
        """One line of JSON without the values that are None."""
        return self.model_dump_json(exclude_none=True) + "\n"


OnStep = Callable[[StepMetrics], None]
"""Called after each update of the weights, before its checkpoint is written."""
_FINITE = ("loss", "kl", "grad_norm")


def finite_metrics(step: int, metrics: Mapping[str, float], names: Mapping[str, str]) -> dict[str, float]:
    """Select verl's metrics by name and refuse a step that diverged.

    Args:
        step: number of the update, from 1.
        metrics: verl's metrics by verl's names.
        names: field of `StepMetrics` -> verl's name; metrics that verl does not report are left out.

    Raises:
        TrainingError: loss, divergence or gradient norm is not finite.
    """
    values = {name: float(metrics[key]) for name, key in names.items() if key in metrics}
    for name in _FINITE:
        if not math.isfinite(values.get(name, 0.0)):
            raise TrainingError(f"'{name}' of step {step} is {values[name]}: a lower learning rate may help")
    return values


def mean_rewards(rewards: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean of the score (as `reward`) and of each part over the responses of a step.

    Args:
        rewards: what the reward function returned, one mapping a response, all with the same keys.
    """
    names = [name for name, value in rewards[0].items() if isinstance(value, int | float)]
    return {"reward" if name == "score" else name: fmean(float(reward[name]) for reward in rewards) for name in names}
