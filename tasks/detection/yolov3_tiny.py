"""YOLOv3-tiny detector: COCO's classes on a CPU, through OpenCV (Redmon and Farhadi, https://arxiv.org/abs/1804.02767)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.detection.batched import RawDetection
from tasks.detection.onnx_network import OnnxDetector, Output, best_classes
from tasks.detection.vocabulary import COCO
from tasks.pretrained.models import YOLOV3_TINY

ANCHORS = {32: ((81, 82), (135, 169), (344, 319)), 16: ((23, 27), (37, 58), (81, 82))}
"""Stride -> (width, height) of its anchors, pixels of the network's input."""


class YoloTinyDetector(OnnxDetector):
    """YOLOv3-tiny, which `make install` installs where NanoDet-g cannot be fetched."""

    model, strides, fill = YOLOV3_TINY, tuple(ANCHORS), 127.5

    def normalized(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Input of the network, RGB, 0 to 1, from float32 (height, width, 3), RGB, 0 to 255."""
        return image / np.float32(255)

    def decoded(self, output: Output, stride: int) -> list[RawDetection]:
        """Detections of one output; see `decode_anchors`."""
        return decode_anchors(output, stride, self._config.confidence)


def decode_anchors(output: Output, stride: int, confidence: float) -> list[RawDetection]:
    """Detections of one stride, with boxes in pixels of the network's input.

    Args:
        output: float32 (3 * 85, rows, columns): for each anchor the logits of centre, size, objectness and classes.
        stride: pixels of the input per cell.
        confidence: minimum score.
    """
    columns = output.shape[2]
    detections: list[RawDetection] = []
    for logits, anchor in zip(output.reshape(3, 5 + len(COCO), -1), ANCHORS[stride], strict=True):
        chances = np.asarray(1 / (1 + np.exp(-logits)), np.float32)
        cells, labels = best_classes(chances[4] * chances[5:], confidence)
        x, y = (chances[0, cells] + cells % columns) * stride, (chances[1, cells] + cells // columns) * stride
        half_width, half_height = (np.exp(logits[2 + side, cells]) * anchor[side] / 2 for side in (0, 1))
        corners = np.stack([x - half_width, y - half_height, x + half_width, y + half_height], axis=1).tolist()
        scores = chances[4, cells] * chances[5 + labels, cells]
        detections += [(box, COCO[label], float(score)) for box, label, score in zip(corners, labels, scores, strict=True)]
    return detections
