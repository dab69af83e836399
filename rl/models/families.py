"""Model families: patch size, box coordinates, and the way in which a model gets the times of frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import JsonValue

from storage.common.errors import InputError
from tasks.markers.config import FramesConfig
from tasks.weights import Weights

Times = Literal["positions", "timestamps", "prompt"]
"""How a model gets the times of frames: `positions`, by rotary positions; `timestamps`, its processor writes them before each
pair of frames; `prompt`, not at all, so that the prompt states them."""


class ModelError(InputError):
    """A model that is unknown or not supported; the message names the remedy."""


@dataclass(frozen=True)
class Family:
    """Properties that all sizes of a model share.

    Attributes:
        name: Name of the family.
        model_type: Value of `model_type` in a folder's `config.json`.
        factor: Both sides of a frame are multiples of this many pixels, patch size times spatial merge; None if the processor
            resizes every frame to squares.
        times: How the model gets the times of frames.
        coordinates: Unit of its boxes: `pixels` of the input image, or `thousandths` of its sides.
        box_prompt: Name of the prompt that requests a box, in `rl.prompts.templates`.
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
        Family(
            name="qwen2.5-vl",
            model_type="qwen2_5_vl",
            factor=28,
            times="positions",
            coordinates="pixels",
            box_prompt="box-pixels",
        ),
        Family(
            name="qwen3-vl",
            model_type="qwen3_vl",
            factor=32,
            times="timestamps",
            coordinates="thousandths",
            box_prompt="box-thousandths",
        ),
        Family(
            name="internvl3",
            model_type="internvl",
            factor=None,
            times="prompt",
            coordinates="thousandths",
            box_prompt="box-ref",
        ),
    )
}

RELEASED_RENDERING: Mapping[str, JsonValue] = {
    "markers.style": "numbers",
    "markers.size": 20.0,
    "markers.theta": 1 / 3,
    "sampling.fps": 2.0,
    "sampling.total_pixels": 2048 * 28 * 28,
}
"""How frames were shown to the released STVG-R1 weights, as far as a dataset's parameters say it."""

RENDERING_FILE = "stvg.json"
"""In a checkpoint's folder: how frames were shown in its training, the keys of `RELEASED_RENDERING`."""


@dataclass(frozen=True)
class Model:
    """A model to evaluate or to train.

    Attributes:
        name: Name or folder that it was requested by.
        family: Family of the model.
        weights: Folder and hash; None if a server runs the model.
        rendering: Rendering of the frames in its training; None if it is unknown.
    """

    name: str
    family: Family
    weights: Weights | None
    rendering: Mapping[str, JsonValue] | None = None


def rendering_values(frames: FramesConfig) -> dict[str, JsonValue]:
    """How a dataset shows its frames, by the keys of `RELEASED_RENDERING`; a model that is trained on it expects the same."""
    return {key: _value(frames, key) for key in RELEASED_RENDERING}


def differences(model: Model, frames: FramesConfig) -> list[str]:
    """How a dataset's frames differ from those that the model was trained with, a phrase each.

    Args:
        model: without a record of its training it has no differences.
        frames: how the dataset shows its frames.
    """
    sentences = []
    for key, trained in (model.rendering or {}).items():
        if (value := _value(frames, key)) != trained:
            sentences.append(f"{key} is {value} in the dataset and was {trained} in the training of {model.name}")
    return sentences


def _value(frames: FramesConfig, key: str) -> Any:
    """A value by its dotted path; None if there is none."""
    value: Any = frames
    for part in key.split("."):
        value = getattr(value, part, None)
    return value
