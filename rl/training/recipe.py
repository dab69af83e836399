"""Recipes: every number of a training, where it is from, and what verl calls it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from importlib.util import find_spec
from typing import Any, ClassVar, Literal, get_args, get_type_hints

from storage.common.errors import InputError
from storage.common.names import one_of

_RELEASED = "released code, scripts/run_grpo_video.sh"
_USUAL = "not in the paper; the released code leaves transformers' default"
_TRL = "not in the paper; the released code leaves TRL's default"
_OURS = "ours: how it runs, not what is computed"


class RecipeError(InputError):
    """A recipe that is not known, or a value that it cannot have; the message names the choices."""


def _from(source: str, default: Any) -> Any:
    return field(default=default, metadata={"source": source})


@dataclass(frozen=True)
class Recipe:
    """What every training has. `sources` says where each value is from.

    Attributes:
        learning_rate, schedule: of AdamW; `linear` falls to zero over the whole training.
        beta_1, beta_2, weight_decay, clip_grad: AdamW's others, and the largest norm of a gradient.
        prompts_per_device, devices: their product is a batch, and one update of the weights.
        epochs: times that every prompt is seen.
        steps: updates after which it ends; 0 stands for the epochs' end.
        max_prompt_tokens: pixels' tokens included; longer prompts are refused.
        precision: of the forward pass; weights and AdamW are float32.
        checkpointing: whether activations are computed anew in the backward pass.
        answers_at_once: answers a device computes at once, at most.
        save_every: steps between checkpoints.
        seed: of the order of prompts.
        platform: `cuda` or `cpu`.
        keep: checkpoints kept.
    """

    kind: ClassVar[str]

    learning_rate: float = _from("paper, 4.1", 1e-6)
    schedule: Literal["linear", "constant", "cosine"] = _from("paper, 4.1", "linear")
    beta_1: float = _from(_USUAL, 0.9)
    beta_2: float = _from(_USUAL, 0.999)
    weight_decay: float = _from(_USUAL, 0.0)
    clip_grad: float = _from(_USUAL, 1.0)
    prompts_per_device: int = _from("paper, 4.1", 1)
    devices: int = _from("paper, 4.1", 8)
    epochs: int = _from("paper, 4.1; the released code has 2", 1)
    steps: int = _from("paper, 4.1: by epochs", 0)
    max_prompt_tokens: int = _from(_RELEASED, 8192)
    precision: Literal["bfloat16", "float32"] = _from(_RELEASED, "bfloat16")
    checkpointing: bool = _from(_RELEASED, True)
    answers_at_once: int = _from(_OURS, 1)
    save_every: int = _from(_RELEASED, 50)
    seed: int = _from(_OURS, 0)
    platform: Literal["cuda", "cpu"] = _from(_OURS, "cuda")
    keep: int = _from(_OURS, 2)

    @property
    def batch(self) -> int:
        """Prompts of one update."""
        return self.prompts_per_device * self.devices

    @property
    def answers_per_device(self) -> int:
        """Answers of one update that a device trains on."""
        return self.prompts_per_device

    @property
    def micro_batch(self) -> int:
        """Answers that a device computes at once: verl wants equal parts of its share."""
        share = self.answers_per_device
        return max(size for size in range(1, share + 1) if share % size == 0 and size <= max(1, self.answers_at_once))

    @property
    def gpus(self) -> int:
        """Real GPUs that it needs; on a CPU the devices are logical slots of Ray."""
        return self.devices if self.platform == "cuda" else 0

    def total_steps(self, prompts: int) -> int:
        """Updates of a training on so many prompts; what does not fill a batch is left out.

        Raises:
            RecipeError: there is not one batch.
        """
        if prompts < self.batch:
            raise RecipeError(f"a batch has {self.batch} prompts, and there are {prompts}: give more, or fewer devices")
        return self.steps or prompts // self.batch * self.epochs


@dataclass(frozen=True)
class Grpo(Recipe):
    """GRPO as the paper has it.

    Attributes:
        n: answers a prompt (equation 7).
        temperature: at which they are drawn.
        kl, kl_estimator: weight and estimator of the divergence from the frozen reference (equation 8).
        clip: epsilon of equation 8. With one update a batch, the ratio is one.
        by_std: whether advantages are divided by their group's standard deviation (equation 7).
        loss: how tokens become one loss: the mean over each answer, then over answers.
        max_answer_tokens: longer answers are cut.
        rollout: who answers while training: `vllm` or `transformers`.
        tensor_parallel: devices over which vLLM splits a model.
        vllm_memory: share of a device's memory that vLLM takes while it answers.
    """

    kind = "grpo"

    n: int = _from("paper, 3.4", 8)
    temperature: float = _from("released code, its trainer's generation settings", 1.0)
    kl: float = _from(_TRL, 0.04)
    kl_estimator: Literal["k3", "k1", "k2"] = _from("released code, its trainer's loss", "k3")
    clip: float = _from(_TRL, 0.2)
    by_std: bool = _from("paper, equation 7", True)
    loss: Literal["seq-mean-token-mean", "token-mean"] = _from("paper, equation 8; released code", "seq-mean-token-mean")
    max_answer_tokens: int = _from(_RELEASED, 1024)
    rollout: Literal["vllm", "transformers"] = _from(_OURS, "vllm")
    tensor_parallel: int = _from(_OURS, 1)
    vllm_memory: float = _from(_OURS, 0.5)

    @property
    def answers_per_device(self) -> int:
        """All answers to a device's prompts."""
        return self.prompts_per_device * self.n


@dataclass(frozen=True)
class Sft(Recipe):
    """The paper's VisualPrompt-SFT (tables 7 and 8), of which it tells nothing but scores: the values of section 4.1.

    Attributes:
        loss: how tokens become one loss: the mean over all answers' tokens of a batch.
    """

    kind = "sft"

    loss: Literal["token-mean"] = _from("not in the paper; the usual one, of transformers, TRL and verl", "token-mean")


_SMALL: Mapping[str, Any] = {
    "learning_rate": 1e-3,
    "prompts_per_device": 2,
    "devices": 1,
    "max_prompt_tokens": 4096,
    "precision": "float32",
    "checkpointing": False,
    "answers_at_once": 8,
    "save_every": 1,
    "platform": "cpu",
}

RECIPES: Mapping[str, Recipe] = {
    "stvg-r1": Grpo(),
    "sample": Grpo(n=4, max_answer_tokens=64, rollout="transformers", **_SMALL),
    "stvg-r1-sft": Sft(),
    "sample-sft": Sft(**_SMALL),
}
"""By name: the paper's on 8 GPUs of 80 GB, and one for a CPU and a tiny model; GRPO, and on the true answers."""


def recipe_named(name: str, changes: Mapping[str, Any] | None = None) -> Recipe:
    """A recipe by name, with some of its values changed.

    Raises:
        RecipeError: there is no such recipe or value.
    """
    usual = one_of(RECIPES, name, "recipe", RecipeError)
    known = {one.name for one in fields(usual)}
    if unknown := sorted(set(changes or {}) - known):
        raise RecipeError(f"a recipe has no '{unknown[0]}': its values are {', '.join(sorted(known))}")
    changed = replace(usual, **(changes or {}))
    _check(changed)
    return changed


def _check(recipe: Recipe) -> None:
    kinds = get_type_hints(type(recipe))
    for one in fields(recipe):
        _check_value(one.name, kinds[one.name], getattr(recipe, one.name))
    if isinstance(recipe, Grpo):
        if recipe.n < 2:
            raise RecipeError("advantages compare answers to one prompt: 'n' must be 2 or more")
        if recipe.platform == "cpu" and recipe.rollout == "vllm" and find_spec("vllm") is None:
            raise RecipeError("on a CPU the rollout is 'transformers': a vllm for CPUs is not installed here")


def _check_value(name: str, kind: Any, value: Any) -> None:
    if choices := get_args(kind):
        if value not in choices:
            raise RecipeError(f"'{name}' is one of {', '.join(choices)}, not {value!r}")
    elif kind is bool:
        if not isinstance(value, bool):
            raise RecipeError(f"'{name}' is true or false, not {value!r}")
    elif isinstance(value, bool) or not isinstance(value, int if kind is int else int | float) or not 0 <= value < math.inf:
        raise RecipeError(f"'{name}' must be a number and not below zero, not {value!r}")


def sources(recipe: Recipe) -> dict[str, str]:
    """Where each value of a recipe is from, as the paper's is; one for a CPU differs where a CPU must."""
    return {one.name: str(one.metadata["source"]) for one in fields(recipe)}
