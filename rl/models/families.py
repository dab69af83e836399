"""What a model is, and what differs from family to family.

Coordinates, patch sizes and the way a model learns of time are facts of a family; a folder's own config says which it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from storage.common.errors import InputError
from tasks.weights import Weights

Times = Literal["positions", "timestamps", "prompt"]
"""How a model knows when a frame was: `positions`, rotary positions; `timestamps`, written before each frame pair by its
processor; `told`, not at all, so that the prompt says it."""


class ModelError(InputError):
    """A model that is not known or not supported; the message names the remedy."""


@dataclass(frozen=True)
class Family:
    """What holds for all sizes of a model.

    Attributes:
        name: of the family.
        model_type: in a folder's `config.json`.
        factor: sides of a frame are multiples of it, pixels: patch size times spatial merge; None where the processor resizes
            every frame to a square of its own.
        times: how it knows when a frame was.
        coordinates: of its boxes: `pixels` of the image it sees, or `thousandths` of it.
        box_prompt: how it is asked for a box, a name of `rl.prompts.templates`.
    """

    name: str
    model_type: str
    factor: int | None
    times: Times
    coordinates: Literal["pixels", "thousandths"]
    box_prompt: str


FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family("qwen2.5-vl", "qwen2_5_vl", 28, "positions", "pixels", "box-pixels"),
        Family("qwen3-vl", "qwen3_vl", 32, "timestamps", "thousandths", "box-thousandths"),
        Family("internvl3", "internvl", None, "prompt", "thousandths", "box-ref"),
    )
}

TRAINING_SHOWN: Mapping[str, Any] = {
    "markers.style": "numbers",
    "markers.size": 20.0,
    "markers.theta": 1 / 3,
    "sampling.fps": 2.0,
    "sampling.total_pixels": 2048 * 28 * 28,
}
"""How frames were shown to the released STVG-R1 weights, as far as a dataset's parameters say it."""

SHOWN_FILE = "stvg.json"
"""In a checkpoint's folder: how frames were shown in its training, the keys of `TRAINING_SHOWN`."""


@dataclass(frozen=True)
class Model:
    """A model to be asked.

    Attributes:
        name: as it was asked for.
        family: what it is.
        weights: its folder and hash; None where a server holds them.
        shown: how frames were shown in its training; None if nobody says.
    """

    name: str
    family: Family
    weights: Weights | None
    shown: Mapping[str, Any] | None = None


def shown_by(render: Mapping[str, Any]) -> dict[str, Any]:
    """How a dataset shows its frames, the keys of `TRAINING_SHOWN`; what a model trained on it is to be shown.

    Args:
        render: the `render` parameters in the dataset's manifest.
    """
    return {key: _value(render, key) for key in TRAINING_SHOWN}


def differences(model: Model, shown: Mapping[str, Any]) -> list[str]:
    """What a dataset shows otherwise than the model was trained with, a phrase each.

    Args:
        model: whose training is compared; nothing is, where nobody says.
        shown: the `render` parameters in the dataset's manifest.
    """
    told = []
    for key, trained in (model.shown or {}).items():
        if (value := _value(shown, key)) != trained:
            told.append(f"{key} is {value} in the dataset and was {trained} in the training of {model.name}")
    return told


def _value(parameters: Mapping[str, Any], key: str) -> Any:
    """A value by its dotted key; None if there is none."""
    value: Any = parameters
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
