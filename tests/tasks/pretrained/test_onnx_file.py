"""Networks written here, as OpenCV reads and evaluates them."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.pretrained.darknet import convert_yolov3_tiny
from tasks.pretrained.onnx_file import OnnxNetwork


def evaluated(network: OnnxNetwork, channels: int, image: np.ndarray) -> np.ndarray:
    import cv2

    read = cv2.dnn.readNetFromONNXBuffer if hasattr(cv2.dnn, "readNetFromONNXBuffer") else cv2.dnn.readNetFromONNX
    loaded = read(np.frombuffer(network.encoded([("output", channels)]), np.uint8))
    loaded.setInput(image)
    return np.asarray(loaded.forward("output"))


def test_a_convolution_pads_strides_and_adds_its_bias() -> None:
    rng = np.random.default_rng(0)
    image = rng.normal(size=(1, 3, 6, 8)).astype(np.float32)
    weight, bias = rng.normal(size=(2, 3, 3, 3)).astype(np.float32), np.array([1, -2], np.float32)
    network = OnnxNetwork()
    network.convolution(network.input_name, "output", weight, bias, stride=2, padding=1)
    output = evaluated(network, 2, image)
    padded = np.pad(image, ((0, 0), (0, 0), (1, 1), (1, 1)))
    expected = np.einsum("chw,ochw->o", padded[0, :, 2:5, 4:7], weight) + bias
    assert output.shape == (1, 2, 3, 4)
    assert output[0, :, 1, 2] == pytest.approx(expected, abs=1e-4)


def test_nearest_resize_repeats_pixels() -> None:
    image = np.arange(3 * 4 * 4, dtype=np.float32).reshape(1, 3, 4, 4)
    network = OnnxNetwork()
    network.resize(network.input_name, "output", 2.0, "nearest")
    assert np.array_equal(evaluated(network, 3, image), image.repeat(2, axis=2).repeat(2, axis=3))


@pytest.mark.parametrize(("extra", "message"), [(-1, "ends before the last layer"), (1, "1 weights fewer")])
def test_weights_of_another_network_are_refused(extra: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        convert_yolov3_tiny(bytes(20 + 4 * (8_858_734 + extra)))
