"""Which weights a detector or tracker takes: those a person names, or the model's own by their usual names."""

from __future__ import annotations

from tasks.detection.base import OPEN_VOCABULARY
from tasks.weights import Weights, WeightsError, find_weights

RANDOM = "random"
"""In place of a weight file: random weights, to try a model's machinery without it."""

DETECTORS = {
    "yolo12n": "yolo12n.pt",
    "yolo12x": "yolo12x.pt",
    "grounding-dino": "grounding-dino-base",
    "florence-2": "florence-2-large",
}
"""Detector -> name of its own weights."""
SAM2_MODELS = ("tiny", "small", "base_plus", "large")


def sam2_file(model: str) -> str:
    """Name of the weights of SAM2.1 in one of its sizes."""
    return f"sam2.1_hiera_{model}.pt"


def detector_weights(detector: str, given: str) -> Weights | None:
    """Weights of a detector by name; None for one without, or for random ones.

    Raises:
        WeightsError: they are missing, or random weights are asked for of a detector that has none.
    """
    if detector in OPEN_VOCABULARY and given == RANDOM:
        raise WeightsError(f"'{detector}' has no random weights: name the folder of its own")
    return _found(given or DETECTORS.get(detector, ""))


def tracker_weights(tracker: str, model: str, given: str) -> Weights | None:
    """Weights of a tracker by name, `model` being SAM2.1's size; None for one without, or for random ones.

    Raises:
        WeightsError: they are missing.
    """
    return _found(given or (sam2_file(model) if tracker == "sam2" else ""))


def _found(name: str) -> Weights | None:
    return find_weights(name) if name and name != RANDOM else None
