"""Ultralytics detectors, offline, with weights from a file with a known sha256; the paper's is YOLO12 (section 4.1)."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.common.environment import set_variables
from tasks.detection.base import ANY_ULTRALYTICS, Detection, DetectorConfig, filter_detections
from tasks.detection.batched import clip_boxes, detect_in_batches
from tasks.video.reader import Frames, Video
from tasks.weights import Weights, WeightsError

RANDOM_SEED = 0
"""Seed of random weights, so that all processes build the same detector."""


class YoloDetector:
    """YOLO12 of the size in its name, or any detector of Ultralytics (YOLOv8, 11, 12, 26 ...), on a GPU if available.

    Categories are the class names of the file. Without weights YOLO12 is initialised randomly from a fixed seed, for tests
    only: scores are then about 1e-4.
    """

    def __init__(self, config: DetectorConfig, weights: Weights | None = None) -> None:
        import torch

        self._config = config
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = _random_model(config.name) if weights is None else _load_model(weights, config.name)

    def detect(self, video: Video, indices: Sequence[int]) -> list[list[Detection]]:
        """Detections on each frame of `indices`, best score first; the next frames are decoded in the background.

        Args:
            video: the opened video.
            indices: 0-based native frame indices, ascending.
        """
        return detect_in_batches(self.detect_frames, video, indices)

    def detect_frames(self, frames: Frames) -> list[list[Detection]]:
        """Detections on each frame of uint8 (n, height, width, 3), RGB."""
        results = self._model.predict(
            [_as_bgr(frame) for frame in frames],
            conf=self._config.confidence,
            imgsz=self._config.image_size_px,
            device=self._device,
            verbose=False,
            save=False,
        )
        return [filter_detections(_detections(result), self._config) for result in results]


def _as_bgr(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    # Frames are RGB; the library expects BGR arrays.
    return np.ascontiguousarray(frame[..., ::-1])


def _detections(result: Any) -> list[Detection]:
    """Detections of one result of the library; boxes that are empty after clipping to the image are dropped."""
    height, width = result.orig_shape
    boxes = result.boxes
    rows = zip(boxes.xyxy.tolist(), boxes.conf.tolist(), boxes.cls.tolist(), strict=True)
    return clip_boxes(((corners, result.names[int(label)], score) for corners, score, label in rows), height, width)


@lru_cache(maxsize=1)
def _ultralytics() -> Any:
    """Import the library so that it does not print, use the network, install packages, or share a settings file."""
    import torch  # noqa: F401  first: the library would otherwise set its thread count through the environment

    # A private folder: the settings file is not written atomically, and workers start at the same time.
    settings = tempfile.TemporaryDirectory(prefix="stvg-ultralytics-")
    quiet = {"YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "0", "YOLO_VERBOSE": "false", "ULTRALYTICS_SAFE_LOAD": "1"}
    set_variables({**quiet, "YOLO_CONFIG_DIR": settings.name})
    import ultralytics

    ultralytics.stvg_settings = settings  # keeps the folder until the interpreter ends
    return ultralytics


def _random_model(name: str) -> Any:
    """Architecture `name` with random weights and COCO's class names."""
    import torch

    library = _ultralytics()
    from ultralytics.utils import YAML

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RANDOM_SEED)
        model = library.YOLO(f"{name}.yaml", task="detect")
    coco = Path(library.__file__).parent / "cfg" / "datasets" / "coco.yaml"
    model.model.names = YAML.load(coco)["names"]
    return model


def _load_model(weights: Weights, name: str) -> Any:
    """Load the weights of a detector. The file is a pickle, from which the library restores only its own classes.

    Raises:
        WeightsError: the file is missing, is not a checkpoint, contains code without being trusted, is no detector, or is not
            YOLO12 although the name says so.
    """
    if not weights.path.is_file():
        raise WeightsError(f"no weight file {weights.path} for the detector '{name}': it existed when it was looked up")
    try:
        model = _read(weights)
        attention = [m for m in model.model.modules() if type(m).__name__ == "AAttn"]
    except WeightsError:
        raise
    except Exception as error:
        raise WeightsError(_refusal(weights, name, error)) from error
    if name == ANY_ULTRALYTICS:
        if model.task != "detect":
            raise WeightsError(
                f"{weights.path.name} is a model for '{model.task}': the detector '{name}' needs one for 'detect'"
            )
        return model
    if not attention:
        raise WeightsError(f"{weights.path.name} is not a YOLO12 (it has no area attention), as '{name}' requires")
    if not all(hasattr(m, "qkv") for m in attention):
        raise WeightsError(
            f"{weights.path.name} is of the yolov12 fork (its AAttn has no qkv), which Ultralytics cannot run: get {name}.pt"
        )
    return model


def _read(weights: Weights) -> Any:
    """Read the file with the library, without running code in it unless the user trusts it."""
    library = _ultralytics()
    from ultralytics.nn import tasks

    if weights.trusted:
        weights.check_unchanged()
    # The library reads this module variable at each load; `YOLO` has no argument for it.
    tasks.SAFE_LOAD = not weights.trusted
    try:
        return library.YOLO(str(weights.path))
    finally:
        tasks.SAFE_LOAD = True


def _refusal(weights: Weights, name: str, error: Exception) -> str:
    reason = f"{weights.path.name} cannot be read as weights of Ultralytics' {name}"
    if weights.trusted:
        return f"{reason}: {' '.join(str(error).split())[:200]}"
    return (
        f"{reason}: it is damaged, or contains code (sha256 {weights.sha256}); if you trust its source, allow that code by "
        f"`stvg trust {weights.path}`"
    )
