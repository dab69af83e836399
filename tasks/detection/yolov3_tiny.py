"""YOLOv3-tiny detector: COCO's classes on a CPU, through OpenCV (Redmon and Farhadi, https://arxiv.org/abs/1804.02767)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tasks.detection.base import Detection, DetectorConfig, filter_detections
from tasks.detection.batched import RawDetection, clip_boxes, detect_in_batches
from tasks.detection.onnx_network import Output, best_classes, load_network, outputs_of, scaled_frame, without_repetitions
from tasks.detection.vocabulary import COCO
from tasks.pretrained.models import YOLOV3_TINY
from tasks.video.reader import Frames, Video
from tasks.weights import Weights

TRAINED_SIZE_PX = 416
"""Longest side of its training images."""
ANCHORS = {32: ((81, 82), (135, 169), (344, 319)), 16: ((23, 27), (37, 58), (81, 82))}
"""Stride -> (width, height) of its anchors, pixels of the network's input."""


class YoloTinyDetector:
    """YOLOv3-tiny, which `make install` installs where NanoDet-g cannot be fetched.

    Raises:
        WeightsError: the weights are missing, or are not those of YOLOv3-tiny.
    """

    def __init__(self, config: DetectorConfig, weights: Weights | None = None) -> None:
        self._config = config
        self._network = load_network(weights, YOLOV3_TINY.file_name)

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
        image, scale = scaled_frame(frame, min(self._config.image_size_px, TRAINED_SIZE_PX), 127.5)
        outputs = outputs_of(self._network, image / np.float32(255), [f"stride_{stride}" for stride in ANCHORS])
        rows = [
            row
            for output, stride in zip(outputs, ANCHORS, strict=True)
            for row in decode_anchors(output, stride, self._config.confidence)
        ]
        scaled = [([v / scale for v in corners], name, score) for corners, name, score in without_repetitions(rows)]
        return filter_detections(clip_boxes(scaled, height, width), self._config)


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
