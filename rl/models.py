"""Models by name: where their weights lie, and what differs from family to family.

Coordinates, patch sizes and the way a model learns of time are facts of a family; a folder's own config says which it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tasks.weights import Weights, WeightsError, find_weights

Times = Literal["positions", "timestamps", "told"]
"""How a model knows when a frame was: `positions`, rotary positions; `timestamps`, written before each frame pair by its
processor; `told`, not at all, so that the prompt says it."""


class ModelError(Exception):
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
        box_prompt: how it is asked for a box, a name of `rl.prompts`.
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
        Family("internvl3", "internvl", None, "told", "thousandths", "box-ref"),
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
class _Known:
    folder: str
    family: str
    shown: Mapping[str, Any] | None = None


_KNOWN: Mapping[str, _Known] = {
    "qwen2.5-vl-7b": _Known("Qwen2.5-VL-7B-Instruct", "qwen2.5-vl"),
    "qwen2.5-vl-72b": _Known("Qwen2.5-VL-72B-Instruct", "qwen2.5-vl"),
    "qwen3-vl-8b": _Known("Qwen3-VL-8B-Instruct", "qwen3-vl"),
    "internvl3-8b": _Known("InternVL3-8B-hf", "internvl3"),
    "stvg-r1": _Known("stvg-r1-model-7b", "qwen2.5-vl", TRAINING_SHOWN),
}
TINY: Mapping[str, str] = {"tiny": "qwen2.5-vl", "tiny-qwen3-vl": "qwen3-vl", "tiny-internvl3": "internvl3"}
"""Made by `rl.tiny`, by name."""
SCHOOLED = "tiny-schooled"
"""Made of `tiny` by `rl.school`."""
MODEL_NAMES = (*_KNOWN, *TINY, SCHOOLED)


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


def find_model(name: str, cache: Path = Path(".stvg")) -> Model:
    """A model by name or by its folder.

    Args:
        name: one of `MODEL_NAMES`, looked for as a folder in $STVG_WEIGHTS, or the folder of a checkpoint or of a training.
        cache: where tiny models are made.

    Raises:
        ModelError: it is no name and no folder of a supported model, or the training there has not ended.
        WeightsError: a known model whose folder is not here.
    """
    if name in TINY:
        from rl.tiny import make_tiny

        folder = make_tiny(cache / name, TINY[name])
        return Model(name, FAMILIES[TINY[name]], find_weights(str(folder.resolve())))
    if name == SCHOOLED:
        from rl.school import make_schooled

        folder = make_schooled(cache / name, find_model("tiny", cache))
        return Model(name, FAMILIES[TINY["tiny"]], find_weights(str(folder.resolve())))
    if name in _KNOWN:
        known = _KNOWN[name]
        return Model(name, FAMILIES[known.family], find_weights(known.folder), known.shown)
    try:
        weights = find_weights(str(_of_training(Path(name)) or name))
    except WeightsError:
        raise ModelError(
            f"there is no model '{name}': choose from {', '.join(MODEL_NAMES)}, or name a model's folder"
        ) from None
    return Model(name, _family_of(weights.path), weights, _shown(weights.path))


def _of_training(folder: Path) -> Path | None:
    """The model that a training made, if this is a training's folder."""
    from rl.training.checkpoints import trained_model
    from rl.training.request import REQUEST

    return trained_model(folder) if (folder / REQUEST).is_file() else None


def served_model(name: str, family: str = "") -> Model:
    """A model that a server holds: its family by its known name, or as said.

    Raises:
        ModelError: the name is not known and no family is said, or there is no such family.
    """
    known = _KNOWN.get(name)
    chosen = family or (known.family if known else TINY.get(name, ""))
    if chosen not in FAMILIES:
        raise ModelError(f"of what family is the served model '{name}'? Choose from {', '.join(FAMILIES)}")
    return Model(known.folder if known else name, FAMILIES[chosen], None, known.shown if known else None)


def _family_of(folder: Path) -> Family:
    try:
        model_type = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"'{folder}' is not the folder of a model: its config.json cannot be read ({error})") from error
    for family in FAMILIES.values():
        if family.model_type == model_type:
            return family
    raise ModelError(f"'{folder}' holds a '{model_type}': supported are {', '.join(f.model_type for f in FAMILIES.values())}")


def _shown(folder: Path) -> Mapping[str, Any] | None:
    path = folder / SHOWN_FILE
    if not path.is_file():
        return None
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"'{path}' is not JSON ({error})") from error
    return {str(key): value for key, value in told.items()}


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
