"""The YOLO12 detector: channel order, weights, targets and confidence, on drawn frames."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.detection import yolo
from tasks.detection.base import Detection, DetectorConfig, build_detector, find_detector_weights
from tasks.detection.yolo import YoloDetector
from tasks.video.reader import Frames, Source, Video
from tasks.video.timeline import Timeline
from tasks.weights import Weights, WeightsError, find_weights, trust_weights

pytestmark = pytest.mark.heavy

HEIGHT, WIDTH = 120, 160
NANO = DetectorConfig(name="yolo12n", confidence=0.25, image_size_px=160)


class Drawn:
    """Frames of coloured squares on noise: their channels differ, so that swapped ones cannot pass unseen."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.asked: list[list[int]] = []

    def __len__(self) -> int:
        return self._count

    def get(self, indices: Sequence[int]) -> Frames:
        self.asked.append(list(indices))
        return np.stack([self._frame(index) for index in indices])

    def timeline(self) -> Timeline:
        return Timeline(np.arange(self._count) / 15, self._count / 15)

    def _frame(self, index: int) -> Frames:
        noise = np.random.default_rng(0).integers(0, 80, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        noise[20:80, 20 + index : 60 + index] = (220, 60, 20)
        noise[50:110, 100 - index : 140 - index] = (30, 90, 200)
        return noise


@pytest.fixture
def video() -> Video:
    return Video(Source("drawn", Path("drawn")), Path("drawn"), Drawn(20))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """Random weights whose scores depend on the picture: with the plain ones hardly a signal reaches the last layer."""
    import torch

    model = yolo._random_model("yolo12n")
    frames = Drawn(20).get(range(0, 20, 2))
    pixels = torch.from_numpy(np.concatenate([frames, frames[..., ::-1]])).permute(0, 3, 1, 2).float() / 255
    padded = torch.nn.functional.pad(pixels, (0, 0, 4, 4), value=114 / 255)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(1)
        for layer in model.model.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.momentum = 1.0
        model.model.train()(padded)
        for branch in model.model.eval().model[-1].cv3:
            branch[-1].weight.normal_(std=0.1)
            branch[-1].bias.fill_(-3.0)
    path = tmp_path_factory.mktemp("weights") / "lively.pt"
    model.save(path)
    return find_weights("lively.pt", path.parent)


@pytest.fixture(scope="module")
def detector(weights: Weights) -> YoloDetector:
    detector = build_detector(NANO, weights)
    assert isinstance(detector, YoloDetector)
    return detector


def rows(result: Any) -> list[tuple[list[float], str, float]]:
    """Boxes of a result of the library itself."""
    boxes = result.boxes
    return [
        (corners, result.names[int(label)], score)
        for corners, label, score in zip(boxes.xyxy.tolist(), boxes.cls.tolist(), boxes.conf.tolist(), strict=True)
    ]


def as_rows(detections: list[Detection]) -> list[tuple[list[float], str, float]]:
    return [(list(d.box), d.category, d.score) for d in detections]


def test_the_channel_order_is_that_of_the_librarys_own_file_reading(
    detector: YoloDetector, weights: Weights, tmp_path: Path
) -> None:
    from PIL import Image

    frames = Drawn(20).get([3])
    Image.fromarray(frames[0]).save(tmp_path / "frame.bmp")  # a PNG needs a zlib, of which several may be loaded here
    library = yolo._ultralytics().YOLO(str(weights.path))
    expected = rows(library.predict(str(tmp_path / "frame.bmp"), conf=0.25, imgsz=160, device=detector._device)[0])
    assert len(expected) > 3
    assert sorted(as_rows(detector.detect_frames(frames)[0])) == sorted(expected)
    assert sorted(as_rows(detector.detect_frames(frames[..., ::-1])[0])) != sorted(expected)


def test_boxes_are_inside_the_image_and_best_comes_first(detector: YoloDetector, video: Video) -> None:
    found = [d for frame in detector.detect(video, [0, 7]) for d in frame]
    assert found
    for (x1, y1, x2, y2), _, _ in found:
        assert 0 <= x1 < x2 <= WIDTH
        assert 0 <= y1 < y2 <= HEIGHT
    scores = [d.score for d in detector.detect(video, [0])[0]]
    assert scores == sorted(scores, reverse=True)


def test_frames_are_decoded_a_batch_at_a_time(detector: YoloDetector) -> None:
    reader = Drawn(20)
    video = Video(Source("drawn", Path("drawn")), Path("drawn"), reader)
    reader.asked.clear()
    found = detector.detect(video, range(0, 20, 2))
    assert reader.asked == [[0, 2, 4, 6, 8, 10, 12, 14], [16, 18]]
    assert len(found) == 10
    alone = detector.detect(video, [16])[0]
    assert [d.category for d in found[8]] == [d.category for d in alone]
    np.testing.assert_allclose([d.box for d in found[8]], [d.box for d in alone], atol=0.05)
    assert detector.detect(video, []) == []


def test_the_confidence_is_respected(weights: Weights, detector: YoloDetector, video: Video) -> None:
    low = detector.detect(video, [3])[0]
    between = (low[1].score + low[2].score) / 2
    high = YoloDetector(NANO.model_copy(update={"confidence": between}), weights).detect(video, [3])[0]
    assert all(d.score >= NANO.confidence for d in low)
    assert high == low[:2]


def test_the_target_picks_the_categories(weights: Weights, video: Video) -> None:
    names = {}
    for target in ("person", "non-person", "all"):
        config = NANO.model_copy(update={"target": target, "confidence": 0.02})
        names[target] = {d.category for frame in YoloDetector(config, weights).detect(video, range(8)) for d in frame}
    assert names["person"] == {"person"}
    assert "person" not in names["non-person"]
    assert names["all"] == names["non-person"] | {"person"}


def test_weights_are_known_by_their_hash_and_give_the_same_detections_again(
    detector: YoloDetector, weights: Weights, video: Video, tmp_path: Path
) -> None:
    assert weights.sha256 == hashlib.sha256(weights.path.read_bytes()).hexdigest()
    detector._model.__class__(str(weights.path)).save(tmp_path / "again.pt")
    again = find_weights("again.pt", tmp_path)
    assert YoloDetector(NANO, again).detect(video, [0, 4]) == detector.detect(video, [0, 4])


def test_random_weights_are_the_same_each_time(video: Video) -> None:
    config = NANO.model_copy(update={"confidence": 1e-4})
    first, second = (YoloDetector(config).detect(video, [0])[0] for _ in range(2))
    assert first == second
    assert first


def test_weights_that_cannot_be_used_are_named_in_a_sentence(weights: Weights, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no weight file 'yolo12x.pt': looked for .*; put it there"):
        find_weights("yolo12x.pt", tmp_path)
    gone = Weights(tmp_path / "gone.pt", weights.sha256)
    with pytest.raises(WeightsError, match=r"no weight file .*gone.pt"):
        YoloDetector(NANO, gone)
    (tmp_path / "notes.pt").write_text("not a checkpoint")
    with pytest.raises(WeightsError, match=r"notes.pt cannot be read"):
        YoloDetector(NANO, find_weights("notes.pt", tmp_path))


def test_code_in_a_file_runs_only_if_the_user_trusts_the_file(weights: Weights, tmp_path: Path, monkeypatch: Any) -> None:
    import torch

    class Hostile:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "it-ran",)

    monkeypatch.setenv("STVG_WEIGHTS", str(tmp_path))
    held = torch.load(weights.path, weights_only=False)
    torch.save({**held, "extra": Hostile()}, tmp_path / "hostile.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Hostile(), protocol=2))
    for name in ("hostile.pt", "plain.pt"):
        found = find_weights(name)
        with pytest.raises(WeightsError, match=rf"{name} cannot be read .*{found.sha256}.*`stvg trust .*{name}`") as error:
            YoloDetector(NANO, found)
        assert "\n" not in str(error.value)
    assert not (tmp_path / "it-ran").exists()
    trust_weights(tmp_path / "hostile.pt")
    YoloDetector(NANO, find_weights("hostile.pt"))
    assert (tmp_path / "it-ran").exists()
    with pytest.raises(WeightsError, match=r"plain\.pt cannot be read"):
        YoloDetector(NANO, find_weights("plain.pt"))


def test_weights_of_another_family_are_refused(weights: Weights, tmp_path: Path) -> None:
    library = yolo._ultralytics()
    library.YOLO("yolo11n.yaml").save(tmp_path / "yolo11n.pt")
    with pytest.raises(WeightsError, match=r"yolo11n.pt is not a YOLO12"):
        YoloDetector(NANO, find_weights("yolo11n.pt", tmp_path))

    fork = library.YOLO(str(weights.path))
    for layer in [m for m in fork.model.modules() if type(m).__name__ == "AAttn"]:
        layer.qk = layer.v = layer.qkv  # the fork keeps queries and keys apart from values
        del layer.qkv
    fork.save(tmp_path / "yolov12n.pt")
    with pytest.raises(WeightsError, match=r"yolov12n.pt is of the yolov12 fork"):
        YoloDetector(NANO, find_weights("yolov12n.pt", tmp_path))


@pytest.mark.parametrize("family", ["yolov8n", "yolo11n", "yolo26n"])
def test_any_detector_of_the_library_is_used_with_its_own_class_names(family: str, tmp_path: Path, video: Video) -> None:
    model = yolo._ultralytics().YOLO(f"{family}.yaml", task="detect")
    model.model.names = {i: f"thing {i}" for i in range(80)}
    model.save(tmp_path / "own.pt")
    config = DetectorConfig(name="ultralytics", weights=str(tmp_path / "own.pt"), confidence=0.0, image_size_px=160)
    [detections] = build_detector(config, find_detector_weights(config)).detect(video, [0])
    assert detections
    assert all(detection.category.startswith("thing ") for detection in detections)


def test_a_file_that_is_no_detector_or_is_not_named_is_refused(tmp_path: Path) -> None:
    yolo._ultralytics().YOLO("yolo11n-cls.yaml", task="classify").save(tmp_path / "classes.pt")
    config = DetectorConfig(name="ultralytics", weights=str(tmp_path / "classes.pt"))
    with pytest.raises(WeightsError, match=r"classes.pt is a model for 'classify': the detector 'ultralytics' needs one for"):
        build_detector(config, find_detector_weights(config))
    for name in ("", "random"):
        with pytest.raises(WeightsError, match=r"any Ultralytics detector: name its file, as in --detector.weights yolo11n.pt"):
            find_detector_weights(DetectorConfig(name="ultralytics", weights=name))
