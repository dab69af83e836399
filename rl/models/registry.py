"""Models by name: known checkpoints in the weights folder, generated tiny models, any model folder, and models of a server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from rl.models.families import FAMILIES, RELEASED_RENDERING, RENDERING_FILE, Family, Model, ModelError
from rl.models.tiny import make_tiny, tiny_version
from rl.models.trained import LINEAGE, RUN, read_model_record, trained_model
from storage.folders.cache import cache_folder, cache_lock
from tasks.weights import WeightsError, find_weights


@dataclass(frozen=True)
class _Known:
    folder: str
    family: str
    rendering: Mapping[str, JsonValue] | None = None


_KNOWN: Mapping[str, _Known] = {
    "qwen2.5-vl-7b": _Known("Qwen2.5-VL-7B-Instruct", "qwen2.5-vl"),
    "qwen2.5-vl-72b": _Known("Qwen2.5-VL-72B-Instruct", "qwen2.5-vl"),
    "qwen3-vl-8b": _Known("Qwen3-VL-8B-Instruct", "qwen3-vl"),
    "internvl3-8b": _Known("InternVL3-8B-hf", "internvl3"),
    "stvg-r1": _Known("stvg-r1-model-7b", "qwen2.5-vl", RELEASED_RENDERING),
}
WEIGHT_FOLDERS = tuple(dict.fromkeys(known.folder for known in _KNOWN.values()))
"""Names of the folders of known models in $STVG_WEIGHTS."""
TINY: Mapping[str, str] = {"tiny": "qwen2.5-vl", "tiny-qwen3-vl": "qwen3-vl", "tiny-internvl3": "internvl3"}
"""Name of a generated model -> its family; `rl.models.tiny` generates them."""
SCHOOLED = "tiny-schooled"
"""The model `tiny`, fine-tuned by `rl.models.school`."""
MODEL_NAMES = (*_KNOWN, *TINY, SCHOOLED)


def find_model(name: str, cache: Path | None = None) -> Model:
    """Find a model by name or by its folder; a tiny model is generated first if the cache does not have it.

    Args:
        name: One of `MODEL_NAMES`, or the folder of a checkpoint or of a training.
        cache: Folder of generated models; None is `models` in the cache folder ($STVG_CACHE).

    Raises:
        ModelError: There is no such model, the folder's model is not supported, or its training has not ended.
        WeightsError: The folder of a known model is not in $STVG_WEIGHTS.
    """
    if name in {*TINY, SCHOOLED}:
        return _generated(name, cache or cache_folder() / "models")
    if name in _KNOWN:
        known = _KNOWN[name]
        return Model(name, FAMILIES[known.family], find_weights(known.folder), known.rendering)
    try:
        weights = find_weights(str(_of_training(Path(name)) or name))
    except WeightsError:
        raise ModelError(
            f"there is no model '{name}': choose from {', '.join(MODEL_NAMES)}, or name a model's folder"
        ) from None
    return Model(name, _family_of(weights.path), weights, _read_rendering(weights.path))


def _generated(name: str, cache: Path) -> Model:
    """A tiny model, which the first process that needs it generates."""
    from rl.models.school import make_schooled

    folder = cache / f"{name}-{tiny_version()}"
    with cache_lock(f"model-{name}"):
        if name == SCHOOLED:
            make_schooled(folder, find_model("tiny", cache))
        else:
            make_tiny(folder, TINY[name])
    return Model(name, FAMILIES[TINY.get(name, TINY["tiny"])], find_weights(str(folder.resolve())))


def check_lineage(name: str, model: Model) -> None:
    """Check that the provenance of a model is known, so that its results may be compared with those of others.

    Args:
        name: Name or folder that `find_model` was given; the provenance of `MODEL_NAMES` is known.
        model: The model that it found.

    Raises:
        ModelError: The folder has no record of a training, or its weights are not those of the record.
    """
    if name in MODEL_NAMES:
        return
    folder = Path(name)
    record = read_model_record(folder) or read_model_record(folder.resolve().parent)
    if record is None or model.weights is None or record.sha256 != model.weights.sha256:
        why = f"it has no {LINEAGE}" if record is None else f"its weights are not those that its {LINEAGE} names"
        raise ModelError(
            f"nobody can tell where '{name}' is from ({why}), so that it is compared with nothing: "
            f"name a training's folder or one of {', '.join(MODEL_NAMES)}"
        )


def _of_training(folder: Path) -> Path | None:
    """Folder of the trained model, if this is the folder of a training."""
    return trained_model(folder) if (folder / RUN).is_file() else None


def served_model(name: str, family: str = "") -> Model:
    """A model that a server runs; its weights are not here.

    Args:
        name: Known name, or the name that the server uses.
        family: Family of the model; empty for a known name.

    Raises:
        ModelError: The name is unknown and no family is given, or there is no such family.
    """
    known = _KNOWN.get(name)
    chosen = family or (known.family if known else TINY.get(name, ""))
    if chosen not in FAMILIES:
        raise ModelError(f"of what family is the served model '{name}'? Choose from {', '.join(FAMILIES)}")
    return Model(known.folder if known else name, FAMILIES[chosen], None, known.rendering if known else None)


def _family_of(folder: Path) -> Family:
    try:
        model_type = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"'{folder}' is not the folder of a model: its config.json cannot be read ({error})") from error
    for family in FAMILIES.values():
        if family.model_type == model_type:
            return family
    raise ModelError(f"'{folder}' holds a '{model_type}': supported are {', '.join(f.model_type for f in FAMILIES.values())}")


def _read_rendering(folder: Path) -> Mapping[str, JsonValue] | None:
    path = folder / RENDERING_FILE
    if not path.is_file():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"'{path}' is not JSON ({error})") from error
    return {str(key): value for key, value in values.items()}
