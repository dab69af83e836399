"""Conversion of NanoDet-g from TensorFlow.js's graph format (`nanodet.json`, `nanodet.bin`) to ONNX.

The graph was converted from ONNX by its publisher, so that it transposes before and after each convolution. Here every image
is (1, channels, height, width), transpositions disappear, and paddings and biases become parts of the convolutions. The network
ends before its sigmoid and reshapes: one output a stride, of 80 class logits and 4 x 11 logits of distances. It is fully
convolutional: its input may have any multiple of 32 pixels.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.pretrained.onnx_file import Attribute, OnnxNetwork

STRIDES = (8, 16, 32)
DISTANCES = 11
"""Distances 0 to 10, in strides, over which each side of a box is a distribution (generalised focal loss, arXiv 2006.04388)."""
CHANNELS = 80 + 4 * DISTANCES
_TRANSPARENT = frozenset({"Transpose", "Pad", "PadV2", "Conv2D", "SplitV", "Sigmoid", "Reshape", "Identity"})
"""Operations without a node of their own: layout, decoding, and what the following node includes."""

_OPERATIONS: Mapping[str, tuple[str, Mapping[str, Attribute]]] = {
    "Add": ("Add", {}),
    "AddV2": ("Add", {}),
    "LeakyRelu": ("LeakyRelu", {"alpha": 0.1}),
    "MaxPool": ("MaxPool", {"kernel_shape": (3, 3), "strides": (2, 2), "pads": (1, 1, 1, 1)}),
    "ConcatV2": ("Concat", {"axis": 1}),
}
"""Operation of TensorFlow -> operation of ONNX with its attributes in this network."""


def convert_nanodet(topology: bytes, weights: bytes) -> bytes:
    """ONNX file of NanoDet-g, with outputs `stride_8`, `stride_16` and `stride_32`.

    Args:
        topology: content of `nanodet.json`.
        weights: content of `nanodet.bin`.
    """
    model = json.loads(topology)
    graph = _Graph({node["name"]: node for node in model["modelTopology"]["node"]}, _constants(model, weights))
    outputs = ("Identity", "Identity_1", "Identity_2")
    for name, stride in zip(outputs, STRIDES, strict=True):
        graph.network.node("Identity", (graph.output_of(name),), f"stride_{stride}")
    return graph.network.encoded([(f"stride_{stride}", CHANNELS) for stride in STRIDES])


def _constants(model: Mapping[str, Any], data: bytes) -> dict[str, NDArray[Any]]:
    """Constants by name; float16 values are widened to float32."""
    constants, offset = {}, 0
    for entry in (entry for group in model["weightsManifest"] for entry in group["weights"]):
        dtype = np.dtype(entry.get("quantization", entry)["dtype"])
        values = np.frombuffer(data, dtype, int(np.prod(entry["shape"])), offset)
        constants[entry["name"]] = values.astype(entry["dtype"]).reshape(entry["shape"])
        offset += values.nbytes
    return constants


@dataclass
class _Graph:
    """Graph of TensorFlow.js, whose nodes are added to `network` as they are needed."""

    nodes: Mapping[str, Mapping[str, Any]]
    constants: Mapping[str, NDArray[Any]]
    network: OnnxNetwork = field(default_factory=OnnxNetwork)
    _outputs: dict[str, str] = field(default_factory=dict)

    def output_of(self, name: str) -> str:
        """Name in the network of a node's output; the node is added with all that it depends on."""
        name = name.partition(":")[0]
        if name not in self._outputs:
            self._outputs[name] = self._added(name, self.nodes[name]["op"], self.nodes[name].get("input", ()))
        return self._outputs[name]

    def _added(self, name: str, operation: str, inputs: Sequence[str]) -> str:
        if operation == "Placeholder":
            return self.network.input_name
        if operation in _TRANSPARENT:
            return self.output_of(inputs[0])
        if operation in {"Add", "AddV2"} and inputs[1] in self.constants:
            return self._convolution(name, self.nodes[inputs[0]], self.constants[inputs[1]])
        sources = [self.output_of(source) for source in inputs if source not in self.constants]
        if operation == "ResizeBilinear":
            # The neck first goes from coarse to fine, then back.
            doubles = name.endswith(("resize/ResizeBilinear", "resize_1/ResizeBilinear"))
            return self.network.resize(sources[0], name, 2.0 if doubles else 0.5, "linear")
        converted, attributes = _OPERATIONS[operation]
        return self.network.node(converted, sources, name, **attributes)

    def _convolution(self, name: str, node: Mapping[str, Any], bias: NDArray[Any]) -> str:
        source, kernel = node["input"]
        weight = np.ascontiguousarray(self.constants[kernel].transpose(3, 2, 0, 1), np.float32)
        stride = int(node["attr"]["strides"]["list"]["i"][1])
        return self.network.convolution(
            self.output_of(source),
            name,
            weight,
            bias.ravel().astype(np.float32),
            stride=stride,
            padding=self._padding(source),
        )

    def _padding(self, name: str) -> int:
        """Zeros on each side that the transposed source of a convolution was padded with."""
        [before, *_] = self.nodes[name]["input"]
        if self.nodes[before]["op"] != "Pad":
            return 0
        return int(self.constants[self.nodes[before]["input"][1]].max())
