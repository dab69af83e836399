"""NanoDet-g detector: COCO's classes on a CPU, through OpenCV (https://github.com/RangiLyu/nanodet, Apache-2.0)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tasks.detection.base import Detection, DetectorConfig, filter_detections
from tasks.detection.batched import RawDetection, clip_boxes, detect_in_batches
from tasks.detection.onnx_network import Output, best_classes, load_network, outputs_of, scaled_frame, without_repetitions
from tasks.detection.vocabulary import COCO
from tasks.pretrained.models import NANODET
from tasks.video.reader import Frames, Video
from tasks.weights import Weights

MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""Mean and standard deviation of red, green and blue in its training."""
TRAINED_SIZE_PX = 416
"""Longest side of its training images; it detects no more on larger ones."""
DISTANCES = 11
"""Distances 0 to 10, in strides, over which each side of a box is a distribution (generalised focal loss, arXiv 2006.04388)."""
MIN_CONFIDENCE = 0.35
"""Scores of this detector are lower than those that the configured minimum is meant for: below this, most are errors."""
STRIDES = (8, 16, 32)


class NanodetDetector:
    """NanoDet-g with the weights that `make install` installs.

    Frames have at most `TRAINED_SIZE_PX` on their longer side, and detections at least `MIN_CONFIDENCE`, whatever is configured
    above the one or below the other.

    Raises:
        WeightsError: the weights are missing, or are not those of NanoDet-g.
    """

    def __init__(self, config: DetectorConfig, weights: Weights | None = None) -> None:
        self._config = config
        self._network = load_network(weights, NANODET.file_name)

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

    def _detect(self, frame: Frames) -> list[Detection]:
        height, width = frame.shape[:2]
        image, scale = scaled_frame(frame, min(self._config.image_size_px, TRAINED_SIZE_PX), 0.0)
        mean, deviation = np.array(MEAN[::-1], np.float32), np.array(DEVIATION[::-1], np.float32)
        normalised = np.asarray((image[..., ::-1] - mean) / deviation, np.float32)
        outputs = outputs_of(self._network, normalised, [f"stride_{stride}" for stride in STRIDES])
        confidence = max(self._config.confidence, MIN_CONFIDENCE)
        rows = [
            row for output, stride in zip(outputs, STRIDES, strict=True) for row in decode_cells(output, stride, confidence)
        ]
        scaled = [([v / scale for v in corners], name, score) for corners, name, score in without_repetitions(rows)]
        return filter_detections(clip_boxes(scaled, height, width), self._config)


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
