"""Generation settings of a model's folder, `generation_config.json`."""

from __future__ import annotations

import json

from pydantic import JsonValue

from rl.models.families import Model, ModelError

GENERATION_FILE = "generation_config.json"


def generation_settings(model: Model) -> dict[str, JsonValue]:
    """The settings that a model's folder gives for generation; none for a served model or a folder without them.

    Raises:
        ModelError: the file is not a JSON object.
    """
    if model.weights is None or not (model.weights.path / GENERATION_FILE).is_file():
        return {}
    path = model.weights.path / GENERATION_FILE
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"'{path}' is not JSON ({error}): remove it or restore it from the model's release") from error
    if not isinstance(settings, dict):
        raise ModelError(f"'{path}' is not a JSON object: remove it or restore it from the model's release")
    return settings
