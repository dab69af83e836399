"""Detector and tracker of a dataset, and whether they are those of the paper (section 4.1)."""

from __future__ import annotations

from storage.card import PAPER_MODELS
from tasks.detection.base import DetectorConfig
from tasks.tracking.config import TrackerConfig

OWN_VIDEOS = frozenset({"sample", "folder", "own"})
"""Sources that the paper does not use, so that no figure of it depends on their detector."""


def describe_models(detector: DetectorConfig, tracker: TrackerConfig) -> str:
    """Detector and tracker in a phrase.

    Args:
        detector: the detector.
        tracker: the tracker.
    """
    size = f"SAM2.1 {tracker.sam2.model}" if tracker.name == "sam2" else tracker.name
    return f"{detector.name} with {size}"


def other_models_warning(benchmark: str, detector: DetectorConfig, tracker: TrackerConfig) -> str:
    """Warning if a benchmark of the paper is built with another detector or tracker; empty otherwise.

    Args:
        benchmark: name of the benchmark.
        detector: its detector.
        tracker: its tracker.
    """
    if benchmark in OWN_VIDEOS or (detector.name, tracker.name) == PAPER_MODELS:
        return ""
    options = f"--detector {PAPER_MODELS[0]} --tracker {PAPER_MODELS[1]}"
    return (
        f"{benchmark} is built with {describe_models(detector, tracker)}, and the paper's figures with YOLO12x and SAM2.1: to "
        f"compare with them, use {options}, or set both in [build] of the site file"
    )
