"""Writer of ONNX files, opset 13: only what convolutional networks need, encoded as protocol buffers by hand.

The field numbers are those of `onnx.proto` (https://github.com/onnx/onnx, Apache-2.0). Equal networks give equal bytes, so
that a converted model can be verified by its sha256.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

IR_VERSION, OPSET = 8, 13
Attribute = int | float | str | Sequence[int]
Constant = NDArray[np.float32] | NDArray[np.int64]
_FLOAT, _INT64 = 1, 7
"""Codes of the element types."""


@dataclass
class OnnxNetwork:
    """Network under construction: nodes in the order of evaluation, and named constants.

    Attributes:
        input_name: name of its only input, float32 (1, 3, height, width) with any height and width.
    """

    input_name: str = "image"
    _nodes: list[bytes] = field(default_factory=list)
    _constants: dict[str, Constant] = field(default_factory=dict)

    def constant(self, name: str, values: Constant) -> str:
        """Add a constant and return its name.

        Args:
            name: unique name.
            values: float32 or int64 array.
        """
        self._constants[name] = values
        return name

    def node(self, operation: str, inputs: Sequence[str], output: str, **attributes: Attribute) -> str:
        """Add an operation and return the name of its output.

        Args:
            operation: ONNX operator, such as `Conv`.
            inputs: names of its inputs; an empty name leaves an optional input out.
            output: unique name of its output.
            attributes: attributes of the operator.
        """
        names = b"".join(_bytes(1, name) for name in inputs) + _bytes(2, output) + _bytes(3, output)
        self._nodes.append(names + _bytes(4, operation) + b"".join(_bytes(5, _attribute(k, v)) for k, v in attributes.items()))
        return output

    def convolution(self, source: str, output: str, weight: Constant, bias: Constant, *, stride: int, padding: int) -> str:
        """Add a convolution with bias and return the name of its output.

        Args:
            source: name of the input.
            output: unique name of the output.
            weight: float32 (output channels, input channels, height, width).
            bias: float32 (output channels,).
            stride: stride in both directions.
            padding: zeros added on each side.
        """
        inputs = (source, self.constant(f"{output}/weight", weight), self.constant(f"{output}/bias", bias))
        return self.node("Conv", inputs, output, kernel_shape=weight.shape[2:], strides=(stride, stride), pads=(padding,) * 4)

    def resize(self, source: str, output: str, factor: float, mode: str) -> str:
        """Add a resize of both image directions and return the name of its output.

        Args:
            source: name of the input.
            output: unique name of the output.
            factor: factor of height and width.
            mode: `linear`, with half-pixel centres, or `nearest`, which repeats pixels.
        """
        scales = self.constant(f"{output}/scales", np.array([1, 1, factor, factor], np.float32))
        kind = "half_pixel" if mode == "linear" else "asymmetric"
        extra = {} if mode == "linear" else {"nearest_mode": "floor"}
        return self.node("Resize", (source, "", scales), output, mode=mode, coordinate_transformation_mode=kind, **extra)

    def encoded(self, outputs: Sequence[tuple[str, int]]) -> bytes:
        """The file.

        Args:
            outputs: (name, channels) of each output; all are float32 (1, channels, height, width).
        """
        sizes = [(name, (1, channels, f"{name}/height", f"{name}/width")) for name, channels in outputs]
        graph = b"".join(_bytes(1, node) for node in self._nodes) + _bytes(2, "network")
        graph += b"".join(_bytes(5, _tensor(name, values)) for name, values in self._constants.items())
        graph += _bytes(11, _value(self.input_name, (1, 3, "height", "width")))
        graph += b"".join(_bytes(12, _value(name, shape)) for name, shape in sizes)
        return _integer(1, IR_VERSION) + _bytes(7, graph) + _bytes(8, _bytes(1, "") + _integer(2, OPSET))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _integer(number: int, value: int) -> bytes:
    """Field of an integer."""
    return _varint(number << 3) + _varint(value & (2**64 - 1))


def _bytes(number: int, value: bytes | str) -> bytes:
    """Field of bytes, text or a nested message."""
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, float):
        return _bytes(1, name) + _varint(2 << 3 | 5) + struct.pack("<f", value) + _integer(20, 1)
    if isinstance(value, int):
        return _bytes(1, name) + _integer(3, value) + _integer(20, 2)
    if isinstance(value, str):
        return _bytes(1, name) + _bytes(4, value) + _integer(20, 3)
    return _bytes(1, name) + b"".join(_integer(8, item) for item in value) + _integer(20, 7)


def _tensor(name: str, values: Constant) -> bytes:
    code = _FLOAT if values.dtype == np.float32 else _INT64
    sizes = b"".join(_integer(1, size) for size in values.shape)
    return sizes + _integer(2, code) + _bytes(8, name) + _bytes(9, np.ascontiguousarray(values).tobytes())


def _value(name: str, shape: Sequence[int | str]) -> bytes:
    sizes = b"".join(_bytes(1, _integer(1, size) if isinstance(size, int) else _bytes(2, size)) for size in shape)
    return _bytes(1, name) + _bytes(2, _bytes(1, _integer(1, _FLOAT) + _bytes(2, sizes)))
