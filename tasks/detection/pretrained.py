"""Loading a detector of Hugging Face's transformers from a local folder: never from the network, never half of it."""

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
    """A model class of transformers.

    Attributes:
        name: the detector's name, for messages.
        model_type: what the `config.json` of such a model says it is.
        model_class: name of its class in transformers.
        processor_class: name of its processor's class there.
        source: Hugging Face repository of weights that fit, for messages.
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
        model: in evaluation mode, in float32, on `device`.
        processor: its processor: tokenizer and image processor.
        device: `cuda` if there is one, else `cpu`.
    """

    model: Any
    processor: Any
    device: str


def load_pretrained(weights: Weights | None, family: Architecture) -> LoadedModel:
    """Load a model and its processor from the folder `weights`, without any network.

    Args:
        weights: folder of the model; None raises.
        family: classes and files of the model family.

    Raises:
        WeightsError: no folder was named, it is gone, or it does not hold a whole model of that family. The message names
            the folder and what to put there.
    """
    if weights is None:
        raise WeightsError(f"'{family.name}' has no random weights: name a folder that holds {family.source}")
    folder = weights.path
    _check(folder, family)
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    library: Any = import_module("transformers")
    with _quiet(library):
        try:
            processor = getattr(library, family.processor_class).from_pretrained(str(folder), local_files_only=True)
            model, loading = getattr(library, family.model_class).from_pretrained(
                str(folder), local_files_only=True, weights_only=True, output_loading_info=True, dtype=torch.float32
            )
        except Exception as error:
            if isinstance(error, MemoryError):
                raise
            message = " ".join(str(error).split())[:200]
            raise WeightsError(f"{folder} cannot be read as {family.model_class} ({message}): {_remedy(family)}") from error
    # The library fills what a folder lacks with random numbers, and only warns.
    if missing := sorted(loading["missing_keys"]):
        raise WeightsError(f"{folder} lacks {len(missing)} tensors of {family.model_class}, as {missing[0]}: {_remedy(family)}")
    return LoadedModel(model.eval().to(device), processor, device)


def _check(folder: Path, family: Architecture) -> None:
    """Refuse a folder that says itself that it is something else."""
    try:
        message = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{folder} is no model folder with a readable config.json: {_remedy(family)}") from error
    kind = message.get("model_type") if isinstance(message, dict) else None
    if kind != family.model_type:
        raise WeightsError(f"{folder} holds a model of type {kind!r}, not {family.model_type!r}: {_remedy(family)}")


def _remedy(family: Architecture) -> str:
    return f"'{family.name}' takes the folder of {family.source}, as downloaded from Hugging Face"


@contextmanager
def _quiet(library: Any) -> Iterator[None]:
    """Keep the library's progress bars and warnings off the terminal while it loads; errors are raised anyway."""
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
