"""Decoding of both trained detectors' outputs, their files, and what they find on a real clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tasks.detection.base import DetectorConfig, DetectorName, build_detector, find_detector_weights
from tasks.detection.nanodet import decode_cells
from tasks.detection.onnx_network import scaled_frame, without_repetitions
from tasks.detection.vocabulary import COCO
from tasks.detection.yolov3_tiny import decode_anchors
from tasks.masks.instances import contained_share
from tasks.pretrained.models import NANODET, YOLOV3_TINY, PackagedModel
from tasks.video.reader import Source, open_video
from tasks.weights import Weights, WeightsError, find_weights


def test_a_cell_of_nanodet_is_a_box_about_its_centre() -> None:
    output = np.full((len(COCO) + 44, 4, 5), -9, np.float32)
    output[COCO.index("dog"), 2, 3] = 2.0
    for side, distance in enumerate((1, 2, 3, 4)):
        output[len(COCO) + 11 * side + distance, 2, 3] = 30.0
    [(box, name, score)] = decode_cells(output, 16, 0.35)
    assert (name, score) == ("dog", pytest.approx(1 / (1 + np.exp(-2.0)), abs=1e-5))
    assert box == pytest.approx([56 - 16, 40 - 32, 56 + 48, 40 + 64], abs=1e-3)


def test_an_anchor_of_yolov3_tiny_is_a_box_about_its_centre() -> None:
    output = np.full((3, 85, 4, 5), -9, np.float32)
    output[1, :4, 2, 3] = 0
    output[1, 4, 2, 3] = output[1, 5 + COCO.index("person"), 2, 3] = 9
    [(box, name, score)] = decode_anchors(output.reshape(255, 4, 5), 32, 0.25)
    assert (name, round(score, 2)) == ("person", 1.0)
    assert box == pytest.approx([112 - 67.5, 80 - 84.5, 112 + 67.5, 80 + 84.5], abs=1e-3)


def test_a_box_inside_another_of_its_category_is_the_same_object() -> None:
    whole, head, ball = ([0, 0, 100, 100], "dog", 0.5), ([10, 10, 40, 40], "dog", 0.9), ([10, 10, 40, 40], "sports ball", 0.4)
    assert without_repetitions([whole, head]) == [head]
    assert without_repetitions([whole, ball]) == [whole, ball]
    assert without_repetitions([head, ball]) == [head]
    assert contained_share((0, 0, 10, 10), (5, 0, 25, 10)) == 0.5
    assert contained_share((0, 0, 10, 10), (10, 0, 20, 10)) == 0.0


def test_frames_are_scaled_to_multiples_of_the_stride() -> None:
    image, scale = scaled_frame(np.full((720, 1280, 3), 255, np.uint8), 416, 0.0)
    assert (image.shape, scale) == ((256, 416, 3), 0.325)
    assert image[:234].min() == 255
    assert image[234:].max() == 0


@pytest.mark.parametrize("model", [NANODET, YOLOV3_TINY])
def test_weights_that_are_cut_swapped_or_missing_are_one_sentence(model: PackagedModel, tmp_path: Path) -> None:
    names: dict[str, DetectorName] = {NANODET.file_name: "nanodet-g", YOLOV3_TINY.file_name: "yolov3-tiny"}
    config = DetectorConfig(name=names[model.file_name])
    other = tmp_path / "other.onnx"
    other.write_bytes(b"\x08\x08another model")
    with pytest.raises(WeightsError, match=f"is cut, or is another model than {model.title}: run `make install` again, or use"):
        build_detector(config, find_weights(str(other)))
    with pytest.raises(WeightsError, match=f"the weights of {model.title} are no longer at .*--detector motion"):
        build_detector(config, Weights(tmp_path / "gone.onnx", model.sha256))
    with pytest.raises(WeightsError, match="has no random weights"):
        build_detector(config)


def test_a_machine_without_them_is_referred_to_make_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.pretrained.models.sys.prefix", str(tmp_path))
    with pytest.raises(WeightsError, match="NanoDet-g is not installed: run `make install` again, or use --detector motion"):
        find_detector_weights(DetectorConfig())


@pytest.mark.parametrize("name", ["nanodet-g", "yolov3-tiny"])
def test_a_real_clip_shows_a_person_and_a_dog(name: DetectorName, shared: Path) -> None:
    config = DetectorConfig(name=name)
    try:
        weights = find_detector_weights(config)
    except WeightsError as error:
        pytest.skip(str(error))
    video = open_video(Source("dog", shared / "data" / "videos" / "01_dog.mp4"))
    detector = build_detector(config, weights)
    assert detector.detect(video, []) == []
    detections = detector.detect(video, [0, 150, 240])
    assert all("person" in {d.category for d in frame} for frame in detections)
    assert "dog" in {d.category for frame in detections for d in frame}
    for frame in detections:
        assert [d.score for d in frame] == sorted((d.score for d in frame), reverse=True)
    for x1, y1, x2, y2 in (d.box for frame in detections for d in frame):
        assert 0 <= x1 < x2 <= video.width
        assert 0 <= y1 < y2 <= video.height
