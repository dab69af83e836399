"""Loading of detectors of Hugging Face transformers from a local folder, without network, only if complete."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from tasks.weights import Weights, WeightsError


@dataclass(frozen=True)
class Architecture:
    """Model architecture of transformers.

    Attributes:
        name: name of the detector, for messages.
        model_type: required `model_type` in the model's `config.json`.
        model_class: name of the model class in transformers.
        processor_class: name of the processor class in transformers.
        source: Hugging Face repository with matching weights, for messages.
    """

    name: str
    model_type: str
    model_class: str
    processor_class: str
    source: str


@dataclass(frozen=True)
class LoadedModel:
    """A loaded model.

    Attributes:
        model: the model in evaluation mode, float32, on `device`.
        processor: its processor: tokenizer and image processor.
        device: `cuda` if available, else `cpu`.
    """

    model: Any
    processor: Any
    device: str


def load_pretrained(weights: Weights | None, architecture: Architecture) -> LoadedModel:
    """Load a model and its processor from a local folder.

    Args:
        weights: folder of the model; None raises an error.
        architecture: expected architecture.

    Raises:
        WeightsError: there is no folder, or it does not contain a complete model of this architecture. The message names the
            folder and the required content.
    """
    if weights is None:
        raise WeightsError(f"'{architecture.name}' has no random weights: name a folder with {architecture.source}")
    folder = weights.path
    _check(folder, architecture)
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    library: Any = import_module("transformers")
    with _quiet(library):
        try:
            processor = getattr(library, architecture.processor_class).from_pretrained(str(folder), local_files_only=True)
            model, loading = getattr(library, architecture.model_class).from_pretrained(
                str(folder), local_files_only=True, weights_only=True, output_loading_info=True, dtype=torch.float32
            )
        except Exception as error:
            if isinstance(error, MemoryError):
                raise
            message = " ".join(str(error).split())[:200]
            raise WeightsError(
                f"{folder} cannot be read as {architecture.model_class} ({message}): {_remedy(architecture)}"
            ) from error
    # The library initialises missing tensors randomly and only warns.
    if missing := sorted(loading["missing_keys"]):
        raise WeightsError(
            f"{folder} lacks {len(missing)} tensors of {architecture.model_class}, as {missing[0]}: {_remedy(architecture)}"
        )
    return LoadedModel(model.eval().to(device), processor, device)


def _check(folder: Path, architecture: Architecture) -> None:
    """Raise an error if the configuration of a folder is of another model type."""
    try:
        settings = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{folder} is not a model folder with a readable config.json: {_remedy(architecture)}") from error
    kind = settings.get("model_type") if isinstance(settings, dict) else None
    if kind != architecture.model_type:
        raise WeightsError(f"{folder} has a model of type {kind!r}, not {architecture.model_type!r}: {_remedy(architecture)}")


def _remedy(architecture: Architecture) -> str:
    return f"'{architecture.name}' needs the folder of {architecture.source}, as downloaded from Hugging Face"


@contextmanager
def _quiet(library: Any) -> Iterator[None]:
    """Suppress progress bars and warnings of the library while it loads; errors are raised anyway."""
    logging = library.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
