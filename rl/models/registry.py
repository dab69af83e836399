"""Models by name: made here, looked for in the folder of weights, a checkpoint, a training, or held by a server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rl.models.families import FAMILIES, SHOWN_FILE, TRAINING_SHOWN, Family, Model, ModelError
from rl.models.school import make_schooled
from rl.models.tiny import make_tiny
from rl.training.checkpoints import LINEAGE, lineage, trained_model
from rl.training.request import REQUEST
from tasks.weights import WeightsError, find_weights


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
WEIGHT_FOLDERS = tuple(dict.fromkeys(known.folder for known in _KNOWN.values()))
"""Folders of known models, as they are looked for in $STVG_WEIGHTS."""
TINY: Mapping[str, str] = {"tiny": "qwen2.5-vl", "tiny-qwen3-vl": "qwen3-vl", "tiny-internvl3": "internvl3"}
"""Made by `rl.models.tiny`, by name."""
SCHOOLED = "tiny-schooled"
"""Made of `tiny` by `rl.models.school`."""
MODEL_NAMES = (*_KNOWN, *TINY, SCHOOLED)


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
        folder = make_tiny(cache / name, TINY[name])
        return Model(name, FAMILIES[TINY[name]], find_weights(str(folder.resolve())))
    if name == SCHOOLED:
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


def check_lineage(name: str, model: Model) -> None:
    """Make sure that it is known where a model is from, so that its answers can stand beside others'.

    Args:
        name: by which it was found: one of `MODEL_NAMES`, whose origin is known, or the folder of a training.
        model: that was found.

    Raises:
        ModelError: no training's record stands beside the folder, or its weights are not those of the record.
    """
    if name in MODEL_NAMES:
        return
    folder = Path(name)
    made = lineage(folder) or lineage(folder.resolve().parent)
    if made is None or model.weights is None or made.sha256 != model.weights.sha256:
        why = f"it has no {LINEAGE}" if made is None else f"its weights are not those that its {LINEAGE} names"
        raise ModelError(
            f"nobody can tell where '{name}' is from ({why}), so that it is compared with nothing: "
            f"name a training's folder or one of {', '.join(MODEL_NAMES)}"
        )


def _of_training(folder: Path) -> Path | None:
    """The model that a training made, if this is a training's folder."""
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
