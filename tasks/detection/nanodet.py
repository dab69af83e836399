"""NanoDet-g detector: COCO's classes on a CPU, through OpenCV (https://github.com/RangiLyu/nanodet, Apache-2.0)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.detection.batched import RawDetection
from tasks.detection.onnx_network import OnnxDetector, Output, best_classes
from tasks.detection.vocabulary import COCO
from tasks.pretrained.models import NANODET
from tasks.pretrained.nanodet_graph import DISTANCES, STRIDES

MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""Mean and standard deviation of red, green and blue in its training."""
MIN_CONFIDENCE = 0.35
"""Scores of this detector are lower than those that the configured minimum is meant for: below this, most are errors."""


class NanodetDetector(OnnxDetector):
    """NanoDet-g with the weights that `make install` installs.

    Detections have at least `MIN_CONFIDENCE`, whatever is configured below.
    """

    model, strides, fill = NANODET, STRIDES, 0.0

    def normalized(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Input of the network, BGR, from float32 (height, width, 3), RGB, 0 to 255."""
        mean, deviation = np.array(MEAN[::-1], np.float32), np.array(DEVIATION[::-1], np.float32)
        return np.asarray((image[..., ::-1] - mean) / deviation, np.float32)

    def decoded(self, output: Output, stride: int) -> list[RawDetection]:
        """Detections of one output; see `decode_cells`."""
        return decode_cells(output, stride, max(self._config.confidence, MIN_CONFIDENCE))


def decode_cells(output: Output, stride: int, confidence: float) -> list[RawDetection]:
    """Detections of one stride, with boxes in pixels of the network's input.

    Args:
        output: float32 (80 + 4 * 11, rows, columns), logits of classes, then of the distances of left, top, right and bottom.
        stride: pixels of the input per cell.
        confidence: minimum score.
    """
    columns = output.shape[2]
    logits = output.reshape(output.shape[0], -1)
    scores = np.asarray(1 / (1 + np.exp(-logits[: len(COCO)])), np.float32)
    cells, labels = best_classes(scores, confidence)
    weights = np.exp(logits[len(COCO) :, cells]).reshape(4, DISTANCES, -1)
    left, top, right, bottom = stride * np.einsum("sdc,d->sc", weights, np.arange(DISTANCES)) / weights.sum(axis=1)
    x, y = (cells % columns + 0.5) * stride, (cells // columns + 0.5) * stride
    corners = np.stack([x - left, y - top, x + right, y + bottom], axis=1).tolist()
    rows = zip(corners, labels, scores[labels, cells], strict=True)
    return [(box, COCO[label], float(score)) for box, label, score in rows]
