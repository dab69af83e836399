"""Merging verl's sharded checkpoint into a model's folder, atomically."""

from __future__ import annotations

from pathlib import Path

from rl.models.families import RENDERING_FILE
from rl.models.trained import MODEL
from rl.training.checkpoints import step_folder
from rl.training.records import TrainingRun
from storage.folders.files import atomic_folder
from storage.folders.open import folder_at, write_json


def publish_model(folder: Path, run: TrainingRun, step: int) -> Path:
    """Merge the shards of a checkpoint into the training's model; a model that exists is kept.

    Args:
        folder: of the training.
        run: its request, of which the rendering of frames is stored with the model.
        step: number of the update whose checkpoint is merged.
    """
    target = folder / MODEL
    if target.is_dir():
        return target
    from verl.model_merger.base_model_merger import ModelMergerConfig
    from verl.model_merger.fsdp_model_merger import FSDPModelMerger

    checkpoint = step_folder(folder, step)
    shards = actor if (actor := checkpoint / "actor").is_dir() else checkpoint
    with atomic_folder(target) as temporary:
        config = ModelMergerConfig(
            operation="merge",
            backend="fsdp",
            local_dir=str(shards),
            target_dir=str(temporary),
            hf_model_config_path=str(shards / "huggingface"),
        )
        FSDPModelMerger(config).merge_and_save()
        if run.rendering:
            write_json(folder_at(temporary), RENDERING_FILE, run.rendering)
    return target
