"""From a checkpoint of verl's shards to a model's folder, whole or not at all."""

from __future__ import annotations

from pathlib import Path

from rl.models.families import SHOWN_FILE
from rl.training.checkpoints import MODEL, step_folder
from rl.training.request import Training
from storage.folders.files import replacing_folder
from storage.folders.open import folder_at, write_json


def publish_model(folder: Path, training: Training, step: int) -> Path:
    """Merge a step's shards into the run's model, with how frames were shown to it; one that is there already stays."""
    made = folder / MODEL
    if made.is_dir():
        return made
    from verl.model_merger.base_model_merger import ModelMergerConfig
    from verl.model_merger.fsdp_model_merger import FSDPModelMerger

    kept = step_folder(folder, step)
    shards = actor if (actor := kept / "actor").is_dir() else kept
    with replacing_folder(made) as temporary:
        config = ModelMergerConfig(
            operation="merge",
            backend="fsdp",
            local_dir=str(shards),
            target_dir=str(temporary),
            hf_model_config_path=str(shards / "huggingface"),
        )
        FSDPModelMerger(config).merge_and_save()
        if training.shown:
            write_json(folder_at(temporary), SHOWN_FILE, dict(training.shown))
    return made
