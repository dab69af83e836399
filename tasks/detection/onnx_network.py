"""Convolutional detectors that run through OpenCV: loading, scaling of frames, decoding, suppression of repeated boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.detection.base import Detection, DetectorConfig, filter_detections
from tasks.detection.batched import RawDetection, clip_boxes, detect_in_batches
from tasks.masks.instances import Box, box_iou, contained_share
from tasks.pretrained.models import PackagedModel
from tasks.video.reader import Frames, Video
from tasks.weights import Weights, WeightsError, verify_installed

TRAINED_SIZE_PX = 416
"""Longest side of the training images of these networks; they detect no more on larger ones."""
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


class OnnxDetector:
    """Detector of COCO's classes by a network that `make install` installs, with one output a stride.

    Frames have at most `TRAINED_SIZE_PX` on their longer side, whatever is configured above.

    Attributes:
        model: the installed model.
        strides: pixels of the input per cell of each output, which is named `stride_<pixels>`.
        fill: value of the pixels of the input outside the frame, 0 to 255.

    Raises:
        WeightsError: the weights are missing, or are not those of the model.
    """

    model: ClassVar[PackagedModel]
    strides: ClassVar[Sequence[int]]
    fill: ClassVar[float]

    def __init__(self, config: DetectorConfig, weights: Weights | None = None) -> None:
        self._config = config
        self._network = load_network(weights, self.model)

    def detect(self, video: Video, indices: Sequence[int]) -> list[list[Detection]]:
        """Detections on each frame of `indices`; the next frames are decoded in the background.

        Args:
            video: the opened video.
            indices: 0-based native frame indices, ascending.
        """
        return detect_in_batches(self.detect_frames, video, indices, 2)

    def detect_frames(self, frames: Frames) -> list[list[Detection]]:
        """Detections on each frame of uint8 (n, height, width, 3), RGB."""
        return [self._detect(frame) for frame in frames]

    def normalized(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Input of the network from float32 (height, width, 3), RGB, 0 to 255."""
        raise NotImplementedError

    def decoded(self, output: Output, stride: int) -> list[RawDetection]:
        """Detections of one output, with boxes in pixels of the network's input.

        Args:
            output: float32 (channels, rows, columns).
            stride: pixels of the input per cell.
        """
        raise NotImplementedError

    def _detect(self, frame: Frames) -> list[Detection]:
        height, width = frame.shape[:2]
        image, scale = scaled_frame(frame, min(self._config.image_size_px, TRAINED_SIZE_PX), self.fill)
        outputs = outputs_of(self._network, self.normalized(image), [f"stride_{stride}" for stride in self.strides])
        rows = [row for output, stride in zip(outputs, self.strides, strict=True) for row in self.decoded(output, stride)]
        scaled = [([v / scale for v in corners], name, score) for corners, name, score in without_repetitions(rows)]
        return filter_detections(clip_boxes(scaled, height, width), self._config)


def load_network(weights: Weights | None, model: PackagedModel) -> Any:
    """Network of an installed ONNX file, by OpenCV.

    Args:
        weights: its file.
        model: the expected model.

    Raises:
        WeightsError: the file is missing, or is not the expected one.
    """
    import cv2

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
