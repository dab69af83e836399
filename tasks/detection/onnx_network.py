"""Convolutional detectors that run through OpenCV: loading, scaling of frames, and suppression of repeated boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.detection.batched import RawDetection
from tasks.masks.instances import Box, box_iou, contained_share
from tasks.pretrained.models import MODELS
from tasks.video.reader import Frames
from tasks.weights import Weights, WeightsError, verify_installed

MULTIPLE_PX = 32
"""Height and width of the network's input are multiples of this."""
SAME_IOU, SAME_CONTAINED, OTHER_IOU = 0.6, 0.85, 0.8
"""Minimum IoU, and minimum share of the smaller box, of two boxes of an object; and minimum IoU if their categories differ."""

Output = NDArray[np.float32]


class NetworkInput(NamedTuple):
    """A frame scaled for a network.

    Attributes:
        image: float32 (height, width, 3), RGB, 0 to 255; the frame at the top left, the rest filled.
        scale: pixels of the input per pixel of the frame.
    """

    image: NDArray[np.float32]
    scale: float


def load_network(weights: Weights | None, file_name: str) -> Any:
    """Network of an installed ONNX file, by OpenCV.

    Args:
        weights: its file.
        file_name: name of the installed file, whose hash is known.

    Raises:
        WeightsError: the file is missing, or is not the expected one.
    """
    import cv2

    model = MODELS[file_name]
    if weights is None:
        raise WeightsError(f"{model.title} has no random weights: leave its weights empty")
    verify_installed(weights, model)
    return cv2.dnn.readNetFromONNX(str(weights.path))


def scaled_frame(frame: Frames, longest_px: int, fill: float) -> NetworkInput:
    """A frame scaled so that its longer side has `longest_px` pixels.

    Args:
        frame: uint8 (height, width, 3), RGB.
        longest_px: longer side in pixels.
        fill: value of the pixels outside the frame.
    """
    import cv2

    height, width = frame.shape[:2]
    scale = longest_px / max(height, width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    shape = (-(-rows // MULTIPLE_PX) * MULTIPLE_PX, -(-columns // MULTIPLE_PX) * MULTIPLE_PX, 3)
    image = np.full(shape, fill, np.float32)
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    image[:rows, :columns] = cv2.resize(frame, (columns, rows), interpolation=kind)
    return NetworkInput(image, scale)


def outputs_of(network: Any, image: NDArray[np.float32], names: Sequence[str]) -> list[Output]:
    """Outputs of a network for one image, each float32 (channels, rows, columns).

    Args:
        network: network of OpenCV.
        image: float32 (height, width, 3), normalised.
        names: names of the outputs.
    """
    network.setInput(np.ascontiguousarray(image.transpose(2, 0, 1)[None]))
    return [np.asarray(output[0], np.float32) for output in network.forward(list(names))]


def without_repetitions(detections: Sequence[RawDetection]) -> list[RawDetection]:
    """Non-maximum suppression by IoU and containment, best score first.

    A box inside another of its category is the same object again; boxes of different categories are if they nearly coincide.

    Args:
        detections: boxes in pixels with category and score.
    """
    kept: list[RawDetection] = []
    for detection in sorted(detections, key=lambda d: -d[2]):
        if not any(_same(detection, other) for other in kept):
            kept.append(detection)
    return kept


def _same(a: RawDetection, b: RawDetection) -> bool:
    first, second = _as_box(a[0]), _as_box(b[0])
    iou = box_iou(first, second)
    return iou >= OTHER_IOU or (a[1] == b[1] and (iou >= SAME_IOU or contained_share(first, second) >= SAME_CONTAINED))


def _as_box(corners: Sequence[float]) -> Box:
    x1, y1, x2, y2 = corners
    return x1, y1, x2, y2


def best_classes(scores: NDArray[np.float32], confidence: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Cells whose best class has at least the confidence: (cell, class) of each.

    Args:
        scores: float32 (classes, cells), in [0, 1].
        confidence: minimum score.
    """
    labels = scores.argmax(axis=0)
    cells = np.flatnonzero(scores[labels, np.arange(scores.shape[1])] >= confidence)
    return cells, labels[cells]
