"""Conversion of YOLOv3-tiny from darknet's weights to ONNX, with batch normalisation folded into the convolutions.

The layers are those of `yolov3-tiny.cfg` (https://github.com/pjreddie/darknet). Its outputs are one image a stride: for each of
three anchors the logits of centre, size, objectness and 80 classes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.pretrained.onnx_file import OnnxNetwork

CHANNELS = 3 * (4 + 1 + 80)
STRIDES = (32, 16)
_HEADER_BYTES = 20
_BACKBONE = (16, 32, 64, 128, 256, 512)
_EPSILON = 1e-6


def convert_yolov3_tiny(weights: bytes) -> bytes:
    """ONNX file of YOLOv3-tiny, with outputs `stride_32` and `stride_16`.

    Args:
        weights: content of `yolov3-tiny.weights`.

    Raises:
        ValueError: there are more or fewer weights than the network has.
    """
    layers = _Layers(np.frombuffer(weights, np.float32, offset=_HEADER_BYTES))
    network = layers.network
    source, channels = network.input_name, 3
    sources = {}
    for number, filters in enumerate(_BACKBONE):
        source = sources[filters] = layers.convolution(source, channels, filters, size=3)
        last = number == len(_BACKBONE) - 1
        pads, stride = ((0, 0, 1, 1), (1, 1)) if last else ((0, 0, 0, 0), (2, 2))
        source = network.node("MaxPool", (source,), f"pool_{number}", kernel_shape=(2, 2), strides=stride, pads=pads)
        channels = filters
    source = layers.convolution(source, 512, 1024, size=3)
    neck = layers.convolution(source, 1024, 256, size=1)
    layers.head("stride_32", layers.convolution(neck, 256, 512, size=3), 512)
    finer = network.resize(layers.convolution(neck, 256, 128, size=1), "finer", 2.0, "nearest")
    joined = network.node("Concat", (finer, sources[256]), "joined", axis=1)
    layers.head("stride_16", layers.convolution(joined, 384, 256, size=3), 256)
    if layers.remaining:
        raise ValueError(f"YOLOv3-tiny has {layers.remaining} weights fewer than the file")
    return network.encoded([(f"stride_{stride}", CHANNELS) for stride in STRIDES])


class _Layers:
    """Layers of a network, with weights read from one array in their order."""

    def __init__(self, weights: NDArray[np.float32]) -> None:
        self.network = OnnxNetwork()
        self._weights, self._at, self._count = weights, 0, 0

    @property
    def remaining(self) -> int:
        """Number of weights that no layer has read."""
        return len(self._weights) - self._at

    def convolution(self, source: str, inputs: int, outputs: int, *, size: int) -> str:
        """Convolution with batch normalisation and leaky rectifier; returns the name of its output."""
        self._count += 1
        name = f"convolution_{self._count}"
        bias, gamma, mean, variance = (self._take(outputs) for _ in range(4))
        scale = gamma / np.sqrt(variance + np.float32(_EPSILON))
        weight = self._take(outputs, inputs, size, size) * scale[:, None, None, None]
        linear = self.network.convolution(source, name, weight, bias - mean * scale, stride=1, padding=size // 2)
        return self.network.node("LeakyRelu", (linear,), f"{name}/leaky", alpha=0.1)

    def head(self, name: str, source: str, inputs: int) -> None:
        """Output of the network: a convolution of one pixel without normalisation."""
        bias = self._take(CHANNELS)
        self.network.convolution(source, name, self._take(CHANNELS, inputs, 1, 1), bias, stride=1, padding=0)

    def _take(self, *shape: int) -> NDArray[np.float32]:
        count = int(np.prod(shape))
        if count > self.remaining:
            raise ValueError("the file ends before the last layer of YOLOv3-tiny")
        values = self._weights[self._at : self._at + count].reshape(shape)
        self._at += count
        return values
