"""Recipes: every number of a training with its source, in groups."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, JsonValue

from storage.common.config import Config
from storage.common.errors import InputError

_PAPER = "paper, section 4.1"
_RELEASED = "released code, scripts/run_grpo_video.sh"
_TRANSFORMERS = "not in the paper; transformers' default, which the released code keeps"
_TRL = "not in the paper; TRL's default, which the released code keeps"
_OURS = "ours: affects how the training runs, not what it computes"


class RecipeError(InputError):
    """A recipe that does not exist, or a value that it cannot have."""


def _value(default: object, source: str, title: str, description: str, **bounds: float) -> Any:
    """A field that carries the source of its default."""
    extra: dict[str, JsonValue] = {"source": source}
    return Field(default, title=title, description=description, json_schema_extra=extra, **bounds)  # type: ignore[call-overload]


class OptimizerConfig(Config):
    """AdamW and its schedule."""

    learning_rate: float = _value(1e-6, _PAPER, "Learning rate", "Initial learning rate of AdamW.", ge=0, lt=1)
    schedule: Literal["linear", "constant", "cosine"] = _value(
        "linear", _PAPER, "Schedule", "Schedule of the learning rate; linear and cosine fall to zero over the whole training."
    )
    beta_1: float = _value(0.9, _TRANSFORMERS, "Beta 1", "Decay rate of AdamW's first moment.", ge=0, lt=1)
    beta_2: float = _value(0.999, _TRANSFORMERS, "Beta 2", "Decay rate of AdamW's second moment.", ge=0, lt=1)
    weight_decay: float = _value(0.0, _TRANSFORMERS, "Weight decay", "Weight decay of AdamW.", ge=0, lt=1)
    max_grad_norm: float = _value(
        1.0, _TRANSFORMERS, "Gradient norm", "Gradients with a larger norm are scaled down to this norm.", ge=0, le=1e6
    )


class BatchConfig(Config):
    """Prompts of an update and how often they are used."""

    prompts_per_device: int = _value(1, _PAPER, "Prompts per device", "Prompts of a device in one update.", ge=1, le=4096)
    devices: int = _value(8, _PAPER, "Devices", "Number of GPUs, or of logical devices on a CPU.", ge=1, le=1024)
    epochs: int = _value(
        1, f"{_PAPER}; the released code has 2", "Epochs", "Number of times that every prompt is used.", ge=1, le=1000
    )
    max_prompt_tokens: int = _value(
        8192,
        _RELEASED,
        "Prompt tokens",
        "Prompts with more tokens, those of the video included, are excluded.",
        ge=1,
        le=1_000_000,
    )
    max_responses_per_pass: int = _value(
        1, _OURS, "Responses per pass", "Most responses of a device in one forward and backward pass.", ge=1, le=4096
    )
    seed: int = _value(0, _OURS, "Seed", "Seed of the order of prompts and of the validation split.", ge=0, lt=2**31)


class GrpoConfig(Config):
    """Objective of GRPO, equations 7 and 8 of the paper."""

    responses_per_prompt: int = _value(
        8, "paper, section 3.4", "Responses per prompt", "Number of responses that are compared in equation 7.", ge=2, le=4096
    )
    normalize_by_std: bool = _value(
        True, "paper, equation 7", "Normalize by std", "Divide advantages by the standard deviation of their group."
    )
    clip: float = _value(
        0.2, _TRL, "Clip", "Epsilon of equation 8; it has no effect with one update for each batch of responses.", ge=0, le=1
    )
    kl_weight: float = _value(
        0.04, _TRL, "KL weight", "Weight of the divergence from the initial model in equation 8.", ge=0, le=1000
    )
    kl_estimator: Literal["k3", "k1", "k2"] = _value(
        "k3", "released code, its trainer's loss", "KL estimator", "Estimator of the divergence from the initial model."
    )
    loss_aggregation: Literal["seq-mean-token-mean", "token-mean"] = _value(
        "seq-mean-token-mean",
        "paper, equation 8; released code",
        "Loss aggregation",
        "Mean over the tokens of each response and then over responses, or over all tokens at once.",
    )


class RolloutConfig(Config):
    """Engine that generates responses during GRPO."""

    name: Literal["vllm", "transformers"] = _value(
        "vllm", _OURS, "Rollout engine", "Engine that generates responses; transformers is meant for a CPU."
    )
    temperature: float = _value(
        1.0, "released code, its trainer's generation settings", "Temperature", "Sampling temperature.", gt=0, le=10
    )
    max_response_tokens: int = _value(
        1024, _RELEASED, "Response tokens", "Responses with more tokens are truncated.", ge=1, le=1_000_000
    )
    tensor_parallel: int = _value(
        1, _OURS, "Tensor parallel", "Number of devices over which vLLM splits the model.", ge=1, le=64
    )
    memory_fraction: float = _value(
        0.5, _OURS, "vLLM memory", "Fraction of a device's memory that vLLM reserves while it generates.", gt=0, le=1
    )


class SftConfig(Config):
    """Objective of supervised fine-tuning."""

    loss_aggregation: Literal["token-mean"] = _value(
        "token-mean",
        "not in the paper; the default of transformers, TRL and verl",
        "Loss aggregation",
        "Mean cross-entropy over the tokens of all target responses of a batch.",
    )


class SystemConfig(Config):
    """Hardware, precision and checkpoints."""

    platform: Literal["cuda", "cpu"] = _value("cuda", _OURS, "Platform", "Kind of device that trains.")
    precision: Literal["bfloat16", "float32"] = _value(
        "bfloat16", _RELEASED, "Precision", "Precision of the forward pass; weights and moments are float32."
    )
    gradient_checkpointing: bool = _value(
        True, _RELEASED, "Gradient checkpointing", "Recompute activations in the backward pass instead of storing them."
    )
    checkpoint_interval: int = _value(50, _RELEASED, "Checkpoint interval", "Updates between checkpoints.", ge=1, le=1_000_000)
    max_checkpoints: int = _value(2, _OURS, "Checkpoints", "Number of checkpoints that are kept.", ge=1, le=1000)


class Recipe(Config):
    """Numbers that every kind of training has."""

    kind: ClassVar[str] = ""

    optimizer: OptimizerConfig = Field(default=OptimizerConfig(), title="Optimizer", description="AdamW and its schedule.")
    batch: BatchConfig = Field(
        default=BatchConfig(), title="Batch", description="Prompts of an update and how often they are used."
    )
    system: SystemConfig = Field(default=SystemConfig(), title="System", description="Hardware, precision and checkpoints.")

    @property
    def batch_size(self) -> int:
        """Prompts of one update."""
        return self.batch.prompts_per_device * self.batch.devices

    @property
    def responses_per_device(self) -> int:
        """Responses of one update that a device trains on."""
        return self.batch.prompts_per_device

    @property
    def micro_batch_size(self) -> int:
        """Responses of one pass: the largest divisor of a device's share, since verl needs equal parts."""
        share = self.responses_per_device
        return max(n for n in range(1, share + 1) if share % n == 0 and n <= self.batch.max_responses_per_pass)

    @property
    def gpus(self) -> int:
        """GPUs that the training needs; none on a CPU, whose devices are logical."""
        return self.batch.devices if self.system.platform == "cuda" else 0

    def total_steps(self, prompts: int, steps: int = 0) -> int:
        """Updates of a whole training; prompts that do not fill a batch are left out of each epoch.

        Args:
            prompts: number of training prompts.
            steps: number of updates that replaces the number of epochs; 0 keeps the epochs.

        Raises:
            RecipeError: the prompts do not fill one batch.
        """
        if prompts < self.batch_size:
            raise RecipeError(
                f"a batch has {self.batch_size} prompts, and there are {prompts}: give more prompts, or fewer devices"
            )
        return steps or prompts // self.batch_size * self.batch.epochs


class GrpoRecipe(Recipe):
    """GRPO; the defaults are the paper's."""

    kind: ClassVar[str] = "grpo"

    grpo: GrpoConfig = Field(
        default=GrpoConfig(), title="GRPO", description="Objective of GRPO, equations 7 and 8 of the paper."
    )
    rollout: RolloutConfig = Field(
        default=RolloutConfig(), title="Rollout", description="Engine that generates responses during training."
    )

    @property
    def responses_per_device(self) -> int:
        """All responses to a device's prompts."""
        return self.batch.prompts_per_device * self.grpo.responses_per_prompt


class SftRecipe(Recipe):
    """The paper's VisualPrompt-SFT (tables 7 and 8), of which it reports only scores; the values are those of section 4.1."""

    kind: ClassVar[str] = "sft"

    sft: SftConfig = Field(default=SftConfig(), title="SFT", description="Objective of supervised fine-tuning.")
